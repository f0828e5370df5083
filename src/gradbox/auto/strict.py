"""The map of `auto` that has learned from no box of anybody."""

from contextlib import suppress

from gradbox.attribution.cam import GradCam, LayerCam
from gradbox.attribution.combinations import SMALLEST, Average, Product, Smooth
from gradbox.attribution.method import Method
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier

_POWER = 0.53
"""Of the factors' geometric mean: 0.45 of the maximum is then where 0.22 of that mean's is."""

_LARGER = 10 / 7
"""The second size of the input, over the classifier's own."""


def without_boxes(classifier: Classifier) -> Method:
    """Smoothed sensitivity, Grad-CAM and LayerCAM at stride 16, multiplied, over four views.

    A network without a layer of stride 16 does without the last factor. The views are the image and
    its mirror image, at the classifier's own size of input and, where the network takes it, at 10/7
    of that: forward and backward 12 passes of the own size.
    """
    factors: list[Method] = [Smooth(Sensitivity(), sigma=12.0), GradCam()]
    with suppress(UsageError):
        finer = LayerCam(layer="stride16")
        finer.layers(classifier)
        factors.append(finer)
    side = min(classifier.preprocessing.size)
    larger = round(_LARGER * side)
    sizes = (side, larger) if side >= SMALLEST and classifier.takes(larger) else ()
    return Average(
        Product(tuple(factors), powers=(_POWER / len(factors),) * len(factors)),
        flips=True,
        sizes=sizes,
    )
