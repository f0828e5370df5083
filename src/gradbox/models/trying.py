"""Whether what a network returns is what its classifier says of it."""

from typing import Any

import torch
from torch import Tensor

from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.black_box import BlackBox
from gradbox.models.classifier import Classifier
from gradbox.models.outputs import as_logits


def check_outputs(classifier: Classifier, logits: Tensor, n_images: int) -> None:
    """Refuse logits (b, n) of another number of images, or of other classes than those named.

    Raises:
        UsageError: one name too few or too many would give classes the names of others.
    """
    count, outputs = logits.shape
    if count != n_images:
        raise UsageError(
            f"the network returned {count} rows of logits for {n_images} images: one each"
        )
    for kind, names in (("class names", classifier.class_names), ("wnids", classifier.wnids)):
        if names and len(names) != outputs:
            raise UsageError(
                f"{classifier.name} has {len(names)} {kind} but its network has {outputs} "
                "outputs: give one for each output, in their order, or none"
            )
    given = len(classifier.head.thresholds)
    if given > 1 and given != outputs:
        raise UsageError(
            f"{classifier.name} has {given} thresholds but its network has {outputs} outputs: give "
            "one for each output, in their order, or one for all"
        )


def logits_of(classifier: Classifier, output: Any, n_images: int) -> Tensor:
    """The logits (b, n_classes) of what the network returned for so many images.

    Raises:
        UsageError: it is something else, or does not go with what the classifier says of it.
    """
    logits = classifier.head.logits(as_logits(output))
    check_outputs(classifier, logits, n_images)
    return logits


def try_out(classifier: Classifier) -> None:
    """Run the classifier once, on an image of zeros.

    Raises:
        UsageError: it cannot take an input of its own size; with names, also where its outputs are
            no logits or not one for each name.
    """
    seen = classifier.preprocessing
    try:
        with torch.no_grad():
            output = classifier.module(classifier.normalize(seen.blank()))
    except UsageError:
        raise
    except Exception as error:  # of any type: it is the network's own code
        raise cannot_run(classifier.name, seen, error) from error
    if not classifier.has_classes:
        return
    said = classifier.class_names or classifier.wnids or classifier.head.kind == "sigmoid"
    if said or isinstance(classifier.module, BlackBox):  # others may be made for their layers
        logits_of(classifier, output, 1)


def cannot_run(name: str, seen: Preprocessing, error: Exception) -> UsageError:
    """What to say of a network that raised this on its own input."""
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
    height, width = seen.size
    return UsageError(
        f"{name}: the network cannot be run on an input of {height} x {width} with {seen.channels} "
        f"channels ({reason}): give it another size, or mean and std with a number for each channel"
    )
