"""What a network returns: logits, one for each class."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gradbox.errors import UsageError


def as_logits(output: Any) -> Tensor:
    """The logits (b, n) of what a network returns: a tensor, a tuple, an object or a mapping.

    Raises:
        UsageError: it returned something else.
    """
    if isinstance(output, (tuple, list)) and output:
        output = output[0]
    if isinstance(output, Mapping):
        output = output.get("logits", output)
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
