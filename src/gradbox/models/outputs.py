"""What a network returns: logits, one for each class."""

from typing import Any

import torch
from torch import Tensor

from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier


def as_logits(output: Any) -> Tensor:
    """The (b, n_classes) logits of what a network returns: a tensor, a tuple or an object.

    Raises:
        UsageError: it returned something else.
    """
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    logits = getattr(output, "logits", output)
    if (
        not isinstance(logits, Tensor)
        or logits.dim() != 2
        or not logits.shape[1]
        or not logits.is_floating_point()
        or logits.layout != torch.strided
    ):
        raise UsageError(
            f"the network returned {described(logits)}: a classifier returns (batch, classes), a "
            "dense tensor of floating-point numbers"
        )
    return logits


def described(thing: object) -> str:
    """A tensor by its shape and kind, anything else by its type."""
    if not isinstance(thing, Tensor):
        return type(thing).__name__
    kind = str(thing.dtype).removeprefix("torch.")
    layout = "" if thing.layout == torch.strided else "sparse "
    return f"{tuple(thing.shape)} of {layout}{kind}"


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


def try_out(classifier: Classifier) -> None:
    """Run the classifier once, on an image of zeros.

    Raises:
        UsageError: it cannot take an input of its own size; with names, also where its outputs are
            no logits or not one for each name.
    """
    height, width = classifier.preprocessing.size
    blank = torch.zeros((1, 3, height, width), dtype=torch.uint8)
    try:
        with torch.no_grad():
            output = classifier.module(classifier.normalize(blank))
    except Exception as error:  # of any type: it is the network's own code
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(
            f"{classifier.name}: the network cannot be run on an input of {height} x {width} "
            f"({reason}): give it another size"
        ) from error
    if classifier.class_names or classifier.wnids:  # without, it may be made for its layers alone
        check_outputs(classifier, as_logits(output), 1)
