"""Occlusion: a square is moved over the image, and what is lost where it covers is the map."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gradbox.attribution.perturbation import AT_ONCE, Masks, Perturbation, Watch, check_calls
from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.progress import inside


@dataclass(frozen=True)
class Occlusion(Perturbation):
    """How much is lost where a square is covered (Zeiler & Fergus, ECCV 2014).

    A pixel's value is the mean drop of the target over all squares that cover it. `window` is the
    side of the square in pixels of the input, without it a seventh of the shorter side; `stride`
    is from one square to the next, without it half of the window, or, with `calls`, as small as so
    many forward passes an image allow. `target` is `class_score`, with `score` the
    probability or the logit, or `layer_mean`, the mean of the last convolutional layer or of
    `layer`. `fill` covers: the mean colour of the preprocessing, or black, grey or white.
    """

    window: int | None = None
    stride: int | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, given in (("window", self.window), ("stride", self.stride)):
            if given is not None and given < 1:
                raise UsageError(f"{name}={given}: a length in pixels, 1 or more")
        if self.calls is not None:
            check_calls(self.calls)
            if self.stride is not None:
                raise UsageError("calls says what the stride is: give stride or calls, not both")

    def check_size(self, size: Size) -> None:
        """Refuse a window, a stride or a number of calls with which an input cannot be covered."""
        self._squares(size)

    def map_of(self, size: Size, watch: Watch) -> Float[Tensor, "k h w"]:
        """The mean drop over the squares that cover each pixel."""
        rows, columns = self._squares(size)
        whole = watch(torch.ones(1, *size))
        masks = inside(_masks(rows, columns), len(rows) * len(columns), "calls")
        drops = whole - torch.cat([watch(covering) for covering in masks])
        grid = drops.T.reshape(-1, len(rows), len(columns))
        # A square is some rows times some columns, so sums over squares are two matrix products.
        r, c = rows.to(drops), columns.to(drops)
        return r.T @ grid @ c / (r.sum(0)[:, None] * c.sum(0))

    def _squares(self, size: Size) -> tuple[Bool[Tensor, "m h"], Bool[Tensor, "n w"]]:
        """Which rows, and which columns, each square of the grid covers.

        Raises:
            UsageError: the squares leave gaps, do not fit, or are more than the calls.
        """
        window = self.window or max(1, min(size) // 7)
        if window > min(size):
            raise UsageError(f"window={window}: the input has {size[0]} x {size[1]} pixels")
        stride = self.stride or self._usual_stride(size, window)
        if stride > window:
            raise UsageError(f"stride={stride} leaves gaps between squares of window={window}")
        rows, columns = (_covered(length, window, stride) for length in size)
        return rows, columns

    def _usual_stride(self, size: Size, window: int) -> int:
        if self.calls is None:
            return max(1, window // 2)
        for stride in range(1, window + 1):
            needed = 1 + _count(size[0], window, stride) * _count(size[1], window, stride)
            if needed <= self.calls:
                return stride
        raise UsageError(
            f"calls={self.calls}: an input of {size[0]} x {size[1]} pixels takes {needed} calls "
            f"with window={window}; give so many, or a larger window"
        )


def _count(length: int, window: int, stride: int) -> int:
    """Squares in a row of so many pixels; the last one may reach over its end."""
    return ceil((length - window) / stride) + 1


def _covered(length: int, window: int, stride: int) -> Bool[Tensor, "n length"]:
    """Which of the pixels in a row each square covers."""
    starts = stride * torch.arange(_count(length, window, stride))[:, None]
    pixels = torch.arange(length)
    return (pixels >= starts) & (pixels < starts + window)


def _masks(rows: Bool[Tensor, "m h"], columns: Bool[Tensor, "n w"]) -> Iterator[Masks]:
    """The squares row by row, a few at a time."""
    places = torch.cartesian_prod(torch.arange(len(rows)), torch.arange(len(columns)))
    for part in torch.split(places, AT_ONCE):
        i, j = part.unbind(1)
        yield (~(rows[i][:, :, None] & columns[j][:, None, :])).float()
