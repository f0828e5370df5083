"""All boxes of a run: whose class counts, and what pycocotools says of the same files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_eval import coco_numbers

import gradbox
from gradbox.boxes import as_boxes, from_xywh
from gradbox.datasets import Dataset
from gradbox.errors import ImageError, UsageError
from gradbox.localization import ClassFrom, Found, Localization, Sample
from gradbox.scores.detection import Detections
from gradbox.scores.run_detection import (
    constant_matches,
    have_classes,
    matches,
    name_classes,
    summary,
    targets,
)

NAMES = ("cat", "dog")
NUMBERS = ("ap30", "ap50", "recall30", "recall50")


def index_of(name: str) -> int:
    if name == "feline":
        return 0
    if name not in NAMES:
        raise UsageError(f"no class {name}")
    return NAMES.index(name)


def sample(*labels: str, image_id: str = "a", label: str | None = None) -> Sample:
    """A box of 10 x 10 for each class, side by side."""
    boxes = as_boxes([[10 * i, 0, 10 * i + 10, 10] for i in range(len(labels))])
    return Sample(image_id=image_id, source="a.png", boxes=boxes, labels=labels, label=label)


def answer(*labels: int | None, image_id: str = "a") -> Localization:
    """A box on the place of each true one, worse from left to right."""
    n = len(labels)
    return Localization(
        image_id=image_id,
        size=(10, 40),
        boxes=as_boxes([[10 * i, 0, 10 * i + 10, 10] for i in range(n)]),
        labels=labels,
        label_scores=(0.5,) * n,
        scores=tuple(1 - i / 10 for i in range(n)),
    )


def classes_of(
    samples: Sequence[Sample], class_from: ClassFrom
) -> tuple[bool, dict[str, dict[int | None, int]]]:
    by_class = have_classes(samples, class_from, index_of)
    known = {one.image_id: targets(one, index_of, by_class=by_class) for one in samples}
    return by_class, {
        image_id: {label: len(boxes) for label, boxes in of_image.items()}
        for image_id, of_image in known.items()
    }


def score(
    samples: Sequence[Sample],
    class_from: ClassFrom,
    found: Sequence[Found],
    shares: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """The numbers of what was found, or of a constant box with these shares in its place."""
    by_class = have_classes(samples, class_from, index_of) and name_classes(found)
    scores = Detections()
    for number, (one, of_image) in enumerate(zip(samples, found, strict=True)):
        truth = targets(one, index_of, by_class=by_class)
        if not isinstance(of_image, Localization):
            continue
        for match in (
            matches(number, truth, of_image)
            if shares is None
            else constant_matches(number, truth, of_image, shares)
        ):
            scores.add(match)
    return summary(scores, by_class=by_class)


@pytest.mark.parametrize("class_from", ["truth", "predicted"])
def test_each_class_has_its_boxes_and_two_names_may_be_one_class(class_from: ClassFrom) -> None:
    found = classes_of([sample("cat", "dog", "feline")], class_from)
    assert found == (True, {"a": {0: 2, 1: 1}})


def test_the_class_of_an_image_is_that_of_its_boxes_where_they_share_one() -> None:
    """As the scored unit has it: the table of boxes may know less than that of images."""
    found = classes_of([sample("object", "object", label="dog")], "predicted")
    assert found == (True, {"a": {1: 2}})


def test_one_class_that_is_not_known_and_no_box_has_a_class() -> None:
    samples = [sample("cat"), sample("cow", "cat", image_id="b")]
    assert classes_of(samples, "predicted") == (False, {"a": {None: 1}, "b": {None: 2}})
    assert not have_classes(samples[:1], "none", index_of)


def test_a_box_of_another_class_hits_only_where_classes_do_not_count() -> None:
    """By hand: the dog's box is named cat, so half of the mean, or all of it."""
    samples, found = [sample("cat", "dog")], [answer(0, 0)]
    by_class = score(samples, "predicted", found)
    assert (by_class["by_class"], by_class["ap50"], by_class["recall50"]) == (True, 0.5, 0.5)
    any_class = score(samples, "none", found)
    assert (any_class["by_class"], any_class["ap50"], any_class["recall50"]) == (False, 1.0, 1.0)
    assert any_class["n_true_boxes"] == any_class["n_predicted_boxes"] == 2


def test_a_method_that_names_no_class_is_scored_without() -> None:
    """By hand: all is found; with one box named, those without a name are of no class."""
    known = [sample("cat", "dog")]
    nameless = score(known, "predicted", [answer(None, None)])
    assert (nameless["by_class"], nameless["ap50"], nameless["n_true_boxes"]) == (False, 1.0, 2)
    named = score(known, "predicted", [answer(0, None)])
    assert (named["by_class"], named["ap50"]) == (True, 0.5)
    constant = score(known, "predicted", [answer(None)], (1.0, 1.0))
    assert (constant["by_class"], constant["n_predicted_boxes"]) == (False, 1)


def test_what_failed_is_left_out_and_what_has_no_box_is_missed() -> None:
    samples = [sample("cat", image_id=name) for name in "abc"]
    numbers = score(samples, "truth", [answer(0), ImageError("torn"), answer(image_id="c")])
    assert (numbers["n_true_boxes"], numbers["recall50"]) == (2, 0.5)


def test_the_interval_of_two_images_spans_them() -> None:
    # a quarter of the draws is the image that was found alone, another the one that was not
    samples = [sample("cat", image_id=name) for name in "ab"]
    numbers = score(samples, "truth", [answer(0), answer(image_id="b")])
    assert numbers["ap50_interval"] == [0, 1]
    alone = score(samples[:1], "truth", [answer(0)])
    assert alone["ap50_interval"] == [None, None]


def test_a_constant_box_has_the_classes_that_were_located() -> None:
    """By hand: the whole image of 40 x 10 has IoU 1/4 with a box of 10 x 10, and 1 with itself."""
    whole = Sample(
        image_id="a", source="a.png", boxes=as_boxes([[0, 0, 40, 10]] * 2), labels=("cat", "dog")
    )
    for labels, ap in (((0, 1), 1.0), ((0, 0), 0.5)):
        row = score([whole], "truth", [answer(*labels)], (1.0, 1.0))
        assert (row["ap50"], row["n_predicted_boxes"]) == (ap, len(set(labels)))
    none = score([whole], "none", [answer(0, 1)], (1.0, 1.0))
    assert (none["n_predicted_boxes"], none["recall50"]) == (1, 0.5)
    assert score([sample("cat")], "truth", [answer(0)], (1.0, 1.0))["ap30"] == 0


def by_pycocotools(dataset: Dataset, out: Path, index_of: Any = None) -> dict[str, Any]:
    """The numbers of a run's `coco.json` against the truth; without `index_of` no class counts."""
    content = json.loads((out / "coco.json").read_text("utf-8"))
    names = {one["id"]: one["name"] for one in content["categories"]}
    images = {one["file_name"]: one["id"] for one in content["images"]}
    truth, predicted = [], []
    for one in sorted(dataset.samples, key=lambda one: one.image_id):
        if one.image_id not in images:
            continue
        boxes = [a for a in content["annotations"] if a["image_id"] == images[one.image_id]]
        found = [names[a["category_id"]] for a in boxes]
        truth.append((one.boxes, [index_of and index_of(c) for c in one.labels]))
        predicted.append(
            (
                from_xywh(np.array([a["bbox"] for a in boxes], dtype=float).reshape(-1, 4)),
                [index_of and index_of(c) for c in found],
                [a["score"] for a in boxes],
            )
        )
    return coco_numbers(truth, predicted)


def check(
    text: str, model: str, out: Path, *, by_class: bool, limit: int | None = None, **how: Any
) -> dict[str, Any]:
    """Evaluate with several boxes an image, and hold the numbers against pycocotools'."""
    dataset = gradbox.load_dataset(text)
    network = gradbox.load_classifier(model, device="cpu")
    report = gradbox.evaluate(
        dataset,
        network,
        out,
        box=SEVERAL,
        part=gradbox.Part(limit=limit),
        running=gradbox.Running(formats=("coco",)),
        **how,
    )
    assert report.metrics is not None
    found: dict[str, Any] = report.metrics["detection"]
    theirs = by_pycocotools(dataset, out, network.class_index if by_class else None)
    assert found["by_class"] is by_class
    assert {key: found[key] for key in NUMBERS} == pytest.approx(theirs, abs=1e-6)
    assert found["n_predicted_boxes"] > report.n_images
    low, high = found["ap50_interval"]
    assert low <= found["ap50"] <= high
    return found


SEVERAL = "threshold(0.6, sigma=4, boxes=all, min_area=0.002)"


@pytest.mark.slow
@pytest.mark.parametrize("class_from", ["truth", "predicted", "none"])
def test_scenes_are_scored_as_pycocotools_does(class_from: ClassFrom, tmp_path: Path) -> None:
    how = {"method": "sensitivity(target=layer_mean)"} if class_from == "none" else {}
    found = check(
        "scenes:6,size=64",
        "gradbox/scenes",
        tmp_path / "out",
        by_class=class_from != "none",
        class_from=class_from,
        **how,
    )
    assert found["n_true_boxes"] >= 6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bccd", "imagenet_dev", "scenes:60"])
def test_real_runs_are_scored_as_pycocotools_does(name: str, assets: Path, tmp_path: Path) -> None:
    """The classifier knows neither blood cells nor scenes, so no class counts there."""
    found = check(
        name if ":" in name else f"csv:{assets}/data/{name}",
        str(assets / "models/mobilenet_edgetpu.toml"),
        tmp_path / "out",
        by_class=name == "imagenet_dev",
        limit=16,
    )
    assert found["n_true_boxes"] >= 16
