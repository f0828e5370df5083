"""What `gradbox doctor` finds: one line each, and those that rest on what was already read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradbox.labelstudio.configuration import Configuration
from gradbox.serve.labels import Labels

_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One line: what is as it should be, or what is wrong and what helps."""

    is_well: bool
    text: str


def labels_of_model(configuration: Configuration, about: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the project has labels for the classes that the model knows, and draws its shapes."""
    if not about:
        return
    labels, classes = Labels(about.get("labels_map", {})), about.get("classes", [])
    controls = configuration.controls.values()
    lacking = [name for name in classes if not any(labels.label_of(name, one) for one in controls)]
    if classes and len(lacking) == len(classes):
        yield Finding(
            False,
            f"no label is a class of the model ({_some(sorted(configuration.labels))} against "
            f"{_some(classes)}): use gradbox labels, or gradbox serve --labels-map",
        )
    elif lacking:
        count = f"{len(lacking)} of the model's {len(classes)} classes have no label"
        yield Finding(True, f"{count}, and their boxes are left out: {_some(lacking)}")
    elif classes:
        yield Finding(True, f"all {len(classes)} classes of the model have a label")
    if "brush" in configuration.controls and not about.get("masks"):
        yield Finding(
            True, "masks can be drawn, and none are made: gradbox serve --masks makes them"
        )


def stored_predictions(
    tasks: Sequence[Mapping[str, Any]], configuration: Configuration, versions: Sequence[str]
) -> Iterator[Finding]:
    """Whether the predictions that are there can be shown, and whose they are."""
    known = {
        (one.from_name, one.to_name, f"{shape}labels"): set(one.labels.values())
        for shape, one in configuration.controls.items()
    }
    strange: Counter[str] = Counter()
    others: Counter[str] = Counter()
    twice = 0
    for task in tasks:
        predictions = task.get("predictions") or []
        seen = Counter(str(one.get("model_version")) for one in predictions)
        twice += any(count > 1 for count in seen.values())
        others.update(version for version in seen if versions and version not in versions)
        for region in (region for one in predictions for region in one.get("result") or []):
            strange.update(_strange(region, known))
    for what, count in strange.most_common(_SHOWN):
        yield Finding(
            False,
            f"{count} stored regions have {what}, which the labelling configuration has not: they "
            "are not shown as they should; delete these predictions and ask again",
        )
    if twice:
        yield Finding(
            False, f"{twice} tasks have two predictions of one model version: delete them"
        )
    for version, count in others.most_common(_SHOWN):
        yield Finding(False, f"{count} tasks have predictions of another model version, {version}")


def _strange(
    region: Mapping[str, Any], known: Mapping[tuple[str, str, str], set[str]]
) -> Iterable[str]:
    kind = str(region.get("type"))
    place = (str(region.get("from_name")), str(region.get("to_name")), kind)
    if place not in known:
        yield f"the names {place[0]!r} to {place[1]!r} ({kind})"
        return
    value = region.get("value") or {}
    yield from (f"the label {one!r}" for one in value.get(kind, []) if one not in known[place])


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return f"{shown}, ..." if len(names) > _SHOWN else shown
