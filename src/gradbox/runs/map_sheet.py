"""One photograph under several heat maps, side by side."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import UInt8
from numpy import ndarray

from gradbox.attribution.maps import Heatmap, MapMaker
from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import Loaded, load, to_batch
from gradbox.images.pixels import readable
from gradbox.localization import Batch, ImageSource, Sample
from gradbox.methods import ready_maps
from gradbox.models.classifier import Classifier
from gradbox.progress import Track, silent
from gradbox.reports.drawing import contact_sheet, heatmap_picture
from gradbox.specs import as_typed

MAPS = (
    "sensitivity",
    "sensitivity(target=layer_mean, reduce=max)",
    "gradient_x_input",
    "smoothgrad",
    "integrated_gradients",
    "gradcam",
    "hirescam",
    "gradcam_pp",
    "xgradcam",
    "layercam",
    "layercam(layer=[stride16, last])",
    "eigencam",
    "rollout",
    "guided_gradcam",
    "dam",
    "product(sensitivity, gradcam)",
    "product(smooth(sensitivity, sigma=12), gradcam)",
)
"""What is shown if nobody says: the maps that cost at most 50 passes."""


def map_sheet(
    source: ImageSource,
    classifier: Classifier,
    *,
    methods: Sequence[Any] = MAPS,
    label: str | None = None,
    columns: int = 4,
    side: int = 240,
    track: Track = silent,
) -> UInt8[ndarray, "H W 3"]:
    """The picture: a panel for each map under its text.

    A map that the network cannot have, such as one of ReLUs where there are none, is left out; if
    that leaves nothing, why is the error.

    Args:
        source: the photograph.
        classifier: the network.
        methods: texts or values, as of `locate`.
        label: the class, by name, wnid or index; the recognized one if there is none.
        columns: panels side by side.
        side: pixels of the longer side of a panel.
        track: how the job shows that it moves.

    Raises:
        UsageError: an unknown method or class, or no map that the network can have.
        ImageError: the photograph cannot be read, or the network gives no numbers for it.
    """
    ready = [(as_typed(one, text), maker) for one, (_, maker, text) in _ready(methods, classifier)]
    labels = None if label is None else (classifier.class_index(label),)
    sample = Sample(image_id="photograph", source=source)
    loaded = load(sample, classifier.preprocessing, keep_original=True)
    if not isinstance(loaded, Loaded):
        raise loaded.error
    batch = to_batch([loaded], lambda _: labels)
    rgb = readable(batch.originals[0])
    panels, refused = [], []
    for ((name, maker),) in track([[one] for one in ready], len(ready), "maps"):
        try:
            heatmap = _map(maker, batch)
        except UsageError as error:
            refused.append(error)
            continue
        panels.append((name, heatmap_picture(rgb, heatmap, frame=loaded.frame, side=side)))
    if not panels:
        raise refused[0] if refused else UsageError("no map to show: give --method, as in gradcam")
    return contact_sheet(panels, columns=columns)


def _ready(methods: Sequence[Any], classifier: Classifier) -> Any:
    return [(method, ready_maps(method, classifier)) for method in methods]


def _map(maker: MapMaker, batch: Batch) -> Heatmap:
    (found,) = maker.maps(batch)
    if isinstance(found, ImageError):
        raise found
    return found[0].heatmap
