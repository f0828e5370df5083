"""A network compiled by `torch.compile`, which is run as it is where that does not work."""

import warnings
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from gradbox.errors import GradboxWarning


class Compiled(nn.Module):
    """A network that is compiled when it is first called, once for each size and kind of input.

    Fewer images than in an earlier call are filled up, so that the last batch needs no code of its
    own. Where the network cannot be compiled it is run as it is, and one warning says why.
    """

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network, self._name = network, name
        self._compiled: Any = torch.compile(network, dynamic=False)
        self._most: dict[object, int] = {}  # images of a call, by the kind of call

    def forward(self, images: Tensor) -> Any:
        """What the network returns for images (b, c, h, w)."""
        watched = torch._C._len_torch_function_stack() > 0  # compiled code shows no calls
        if self._compiled is None or watched:
            return self.network(images)
        count, kind = len(images), (images.shape[1:], torch.is_grad_enabled())
        is_new = count > self._most.get(kind, 0)
        most = self._most[kind] = count if is_new else self._most[kind]
        filled = F.pad(images, (0,) * (2 * images.dim() - 1) + (most - count,))  # keeps the layout
        # Torch warns of what it does itself while it compiles.
        quiet = warnings.catch_warnings(action="ignore") if is_new else nullcontext()
        try:
            # Buffers are not given away: the graph may be kept for another class.
            with quiet, torch._functorch.config.patch(donated_buffer=False):
                output = self._compiled(filled)
        except Exception as error:  # of any type: a compiler may fail in many ways
            output = self.network(images)  # which raises where it is the network's own fault
            self._compiled = None
            line = f"{self._name} is not compiled but run as it is: {_reason(error)}"
            warnings.warn(line, GradboxWarning, stacklevel=2)
            return output
        return tree_map(lambda one: one[:count] if isinstance(one, Tensor) else one, output)


def _reason(error: Exception) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)
