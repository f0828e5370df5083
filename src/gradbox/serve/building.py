"""A backend made of a classifier and of what options say."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gradbox.errors import UsageError
from gradbox.exports import model_version
from gradbox.files import hash_bytes
from gradbox.localization import Selection
from gradbox.methods import ready
from gradbox.models.classifier import Classifier
from gradbox.pipeline import plan_of
from gradbox.serve.images import Places
from gradbox.serve.labels import Labels
from gradbox.serve.login import Login

if TYPE_CHECKING:
    from gradbox.serve.label_studio import Backend


def check_is_installed() -> None:
    """Refuse where the extra `serve` is missing.

    Raises:
        UsageError: it is.
    """
    if not all(find_spec(name) for name in ("starlette", "uvicorn", "urllib3")):
        raise UsageError("this needs starlette, uvicorn and urllib3: pip install 'gradbox[serve]'")


def backend(
    classifier: Classifier,
    *,
    places: Places,
    labels: Labels,
    login: Login | None = None,
    method: Any = "auto",
    box: Any = "auto",
    classes: Sequence[str] = (),
    selection: Selection | None = None,
    min_score: float | None = None,
    masks: bool = False,
    seconds: float = 80.0,
    batch_size: int = 8,
    log: Callable[[str], None] = print,
) -> "Backend":
    """What answers Label Studio; its predictor has to be entered before it is asked.

    `method`, `box`, `selection`, `min_score` and `masks` are those of `localize`, and `classes` its
    labels. Images come from `places` and classes are called as `labels` say; `login` says who may
    ask, None for everybody. Each call is answered within `seconds`, and `log` is told a line of it.
    `batch_size` is the images in one pass.

    Raises:
        UsageError: the call is wrong, or the range of the numbers is one of a data set.
    """
    from gradbox.serve.label_studio import Backend
    from gradbox.serve.predictor import Predictor

    if classifier.preprocessing.reading.is_of_dataset:
        raise UsageError("a server has no data set to measure a range over: give LOW:HIGH")
    made = ready(method, box, classifier, masks=masks)
    plan = plan_of((), classifier, made, classes, selection, min_score)
    told = [*plan.labels, plan.selection, *sorted(labels.table.items())]
    usual = [classifier.usual_selection(made.class_from)]
    version = model_version(plan.about)
    if told != usual:  # other classes or labels: other answers
        version += f" {hash_bytes(repr(told).encode())[:6]}"
    return Backend(
        predictor=Predictor(plan, places, batch_size=batch_size, masks=masks),
        labels=labels,
        model_version=version,
        about={
            "classes": list(classifier.class_names),
            "labels_map": dict(labels.table),
            "masks": masks,
            "label_studio": places.access and str(places.access.origin),
            "images_from": sorted(map(str, places.client.allowed)),
            "has_key": bool(places.access and places.access.key),
            "has_root": places.root is not None,
        },
        seconds=seconds,
        masks=masks,
        login=login,
        log=log,
    )
