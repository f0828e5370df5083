"""RISE: the image is seen through random masks, and the mean mask weighted by score is the map."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.perturbation import AT_ONCE, Masks, Perturbation, Watch, check_calls
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.progress import inside


@dataclass(frozen=True)
class Rise(Perturbation):
    """The mean of random masks, weighted by the score under each (Petsiuk et al., BMVC 2018).

    `calls` masks, each of `cells` x `cells` random cells that are seen with this `probability`,
    enlarged bilinearly and shifted at random. All images of all runs have the same masks for the
    same `seed`, and the first masks of many are those of few. `target`, `score`, `layer` and `fill`
    are as for `occlusion`.
    """

    calls: int = 1000
    cells: int = 7
    probability: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_calls(self.calls)
        if self.cells < 1:
            raise UsageError(f"cells={self.cells}: a number of cells on a side, 1 or more")
        if not 0 < self.probability < 1:
            raise UsageError(
                f"probability={self.probability}: a share of seen cells, above 0, below 1"
            )
        if self.seed < 0:
            raise UsageError(f"seed={self.seed}: 0 or more")

    def check_size(self, size: Size) -> None:
        """Refuse more cells than pixels."""
        if self.cells > min(size):
            raise UsageError(f"cells={self.cells}: the input has {size[0]} x {size[1]} pixels")

    def map_of(self, size: Size, watch: Watch) -> Float[Tensor, "k h w"]:
        """The sum of score times mask over all masks, divided by their number and probability."""
        self.check_size(size)
        sums: Tensor | float = 0.0
        for masks in inside(self.masks(size), self.calls, "calls"):
            values = watch(masks)
            sums = sums + torch.einsum("nk,nhw->khw", values, masks.to(values))
        assert isinstance(sums, Tensor)
        return sums / (self.calls * self.probability)

    def masks(self, size: Size) -> Iterator[Masks]:
        """All masks for an input of (height, width), a few at a time.

        Cells and shifts are drawn from two streams, each in the order of the masks.
        """
        cell = tuple(ceil(length / self.cells) for length in size)
        for_cells, for_shifts = (np.random.default_rng([self.seed, i]) for i in range(2))
        for start in range(0, self.calls, AT_ONCE):
            count = min(AT_ONCE, self.calls - start)
            seen = for_cells.random((count, self.cells, self.cells)) < self.probability
            shifts = for_shifts.integers(0, cell, size=(count, 2))
            enlarged = F.interpolate(
                torch.from_numpy(seen).float()[:, None],
                size=tuple((self.cells + 1) * length for length in cell),
                mode="bilinear",
            )[:, 0]
            yield torch.stack(
                [
                    one[top : top + size[0], left : left + size[1]]
                    for one, (top, left) in zip(enlarged, shifts.tolist(), strict=True)
                ]
            )
