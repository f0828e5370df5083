"""How a network is run: as it was loaded, or as something faster that computes the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor, nn

from gradbox.images.preprocessing import Preprocessing
from gradbox.models.compiling import Compiled
from gradbox.models.copying import private_copy
from gradbox.models.faster import Faster, faster

MemoryFormat = Literal["contiguous", "channels_last"]
_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Computing:
    """Where, in what numbers and in what layout a network computes, and what may be made of it.

    `faster`: what computes the same in less time, where no layer that it lacks is looked into;
    `compiled`: by `torch.compile`, where nothing inside is looked into.
    """

    device: torch.device
    dtype: torch.dtype
    memory_format: MemoryFormat = "contiguous"
    faster: bool = True
    compiled: bool = False

    def place(self, module: nn.Module) -> nn.Module:
        """The module there, in these numbers and this layout."""
        placed = module.to(self.device, self.dtype)
        last = self.memory_format == "channels_last"
        return placed.to(memory_format=torch.channels_last) if last else placed


class Runner:
    """A private copy of a network, `loaded`, and what is run in its place, made when needed."""

    def __init__(
        self, module: nn.Module, seen: Preprocessing, computing: Computing, name: str
    ) -> None:
        self._seen, self._computing, self._name = seen, computing, name
        with torch.inference_mode(False):  # what is made in that mode cannot be differentiated
            self.loaded = computing.place(private_copy(module))
            half = computing.dtype in _HALF
            self._unrounded = private_copy(module).float() if half else self.loaded

    def network(self, layers: Sequence[str] = (), *, whole: bool = False) -> nn.Module:
        """What to run where these layers are looked into; they have the names of `loaded`.

        `whole` says that nothing inside is looked into: neither layers nor ReLUs.
        """
        if whole and self._computing.compiled:
            return self._compiled
        return self._faster.module if all(map(self._faster.shows, layers)) else self.loaded

    @cached_property
    def _faster(self) -> Faster:
        if not self._computing.faster:
            return Faster(self.loaded)
        with torch.inference_mode(False):
            found = faster(self._unrounded, self._noise)
            return replace(found, module=self._computing.place(found.module))

    @cached_property
    def _compiled(self) -> Compiled:
        return Compiled(self.network(), self._name)

    def _noise(self) -> Tensor:
        """Normalized input of one image of seeded noise."""
        seeded, shape = torch.Generator().manual_seed(0), self._seen.blank().shape
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=seeded)
        weights = next(self._unrounded.parameters())
        return self._seen.normalize(pixels.to(weights.device), weights.dtype)
