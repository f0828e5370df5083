"""A picture that is blank but for a region, seen without computing the blank part again.

What a layer makes of such a picture differs from what it makes of the blank one only around the
region. So each layer runs on a window alone, and the layer after it sees the window in the blank
picture's activation: the logits are those of the whole picture, up to rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gradbox.attribution.gradients import run_with
from gradbox.attribution.layers import Layer
from gradbox.boxes import bounding
from gradbox.dam.neurons import blocks
from gradbox.models.classifier import Classifier
from gradbox.models.trying import logits_of

_COARSEST = 8
"""Most pixels of the input for a row of a layer that runs on windows."""

_LARGEST = 0.7
"""The share of the input from which on a window does not pay."""

_SAME = 1e-4
"""The most by which logits may differ, as a share of the largest: rounding in float32."""


@dataclass(frozen=True, eq=False)
class Local:
    """A layer that looks no further than `reach` of its rows and columns around each.

    From the local layer before it, or the picture. It has a row for each `stride` pixels; `blank`
    (1, c, h, w) is its activation of the blank picture.
    """

    name: str
    stride: int
    reach: int
    blank: Float[Tensor, "1 c h w"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Where windows lie: of each of n pictures one that starts at (row, column) in pixels."""

    starts: Int[np.ndarray, "n 2"]
    size: Int[np.ndarray, "2"]

    def grown(self, by: int, full: Int[np.ndarray, "2"]) -> "Windows":
        """By so many pixels on each side, moved back into pictures of the size `full`."""
        size = np.minimum(self.size + 2 * by, full)
        return Windows(np.clip(self.starts - by, 0, full - size), size)

    def aligned(self, stride: int, before: int, full: Int[np.ndarray, "2"]) -> "Windows":
        """Those that hold these and start and end at a multiple; they did at one of `before`."""
        size = -(-(self.size + stride - before) // stride) * stride
        return Windows(self.starts // stride * stride, size).grown(0, full)

    def slices(self, stride: int = 1) -> Iterator[tuple[slice, slice]]:
        """The rows and columns of each in a layer with a row for each `stride` pixels."""
        rows, columns = self.size // stride
        for top, left in self.starts // stride:
            yield slice(top, top + rows), slice(left, left + columns)


def local_layers(classifier: Classifier) -> list[Local]:
    """The first layers of a network that may run on windows; none where windows do not do.

    How far each looks is seen by a NaN in its input, and all is tried on a picture of noise.
    """
    candidates = _candidates(classifier)
    try:
        found = _probed(classifier, candidates) if candidates else []
        return found if found and _is_same(classifier, found) else []
    except Exception:  # whatever a network says to a NaN, or a window that it cannot take
        return []


def logits_in_windows(
    classifier: Classifier,
    layers: Sequence[Local],
    images: Float[Tensor, "n c h w"],
    masks: Bool[np.ndarray, "n h w"],
) -> Float[Tensor, "n n_classes"]:
    """The logits of pictures that are blank, 0, outside their masks, which have a pixel each."""
    full = np.array(images.shape[2:])
    boxes = np.array([bounding(mask) for mask in masks], dtype=np.int64)
    corners, ends = boxes[:, 1::-1], boxes[:, :1:-1]
    region = Windows(corners, (ends - corners).max(axis=0)).grown(0, full)
    steps = _steps(layers, region, full)
    replacing: dict[str, Callable[[Tensor], Tensor]] = {}
    whole = Windows(np.zeros_like(corners), full)
    after = [*(run for _, run, _ in steps), whole][1:]
    for (layer, run, changed), following in zip(steps, after, strict=True):
        replacing[layer.name] = partial(_in_blank, layer, run, changed, following)
    if steps:
        parts = zip(images, steps[0][1].slices(), strict=True)
        cut = torch.stack([image[:, *at] for image, at in parts])
        images = cut.contiguous(memory_format=_layout(images))
    with torch.inference_mode():
        return logits_of(classifier, run_with(classifier, images, replacing), len(images))


_Step = tuple[Local, Windows, Windows]
"""A layer, the windows that it runs on, and those in which its activation is changed."""


def _steps(layers: Sequence[Local], region: Windows, full: Int[np.ndarray, "2"]) -> list[_Step]:
    """The layers that run on windows, as long as these are small enough."""
    steps: list[_Step] = []
    changed, stride = region, 1
    for layer in layers:
        around = layer.reach * layer.stride
        changed = changed.aligned(layer.stride, stride, full).grown(around, full)
        run, stride = changed.grown(around, full), layer.stride
        if run.size.prod() > _LARGEST * full.prod():
            break
        steps.append((layer, run, changed))
    return steps


def _in_blank(
    layer: Local, run: Windows, changed: Windows, following: Windows, output: Tensor
) -> Tensor:
    """A layer's output on windows, as the windows of the following layer, blank around it."""
    rows, columns = following.size // layer.stride
    shape = (*output.shape[:2], rows, columns)
    placed = output.new_empty(shape).contiguous(memory_format=_layout(output))
    inside = Windows(changed.starts - following.starts, changed.size).slices(layer.stride)
    valid = Windows(changed.starts - run.starts, changed.size).slices(layer.stride)
    for i, (at, of_blank, of_output) in enumerate(
        zip(inside, following.slices(layer.stride), valid, strict=True)
    ):
        placed[i] = layer.blank[0, :, *of_blank]
        placed[i, :, *at] = output[i, :, *of_output]
    return placed


def _is_same(classifier: Classifier, layers: Sequence[Local]) -> bool:
    """Whether the logits of noise in two regions, one at an edge, are those of whole pictures."""
    rows, columns = classifier.preprocessing.size
    masks = np.zeros((2, rows, columns), dtype=bool)
    masks[0, rows // 4 : rows // 2, columns // 3 : columns // 2] = True
    masks[1, : rows // 4, columns // 2 :] = True
    blank = classifier.normalize(classifier.preprocessing.blank()) * 0
    noise = torch.rand(2, *blank.shape[1:], generator=torch.Generator().manual_seed(0))
    alone = (noise * torch.from_numpy(masks)[:, None]).to(blank)
    alone = alone.contiguous(memory_format=_layout(blank))
    whole = logits_in_windows(classifier, [], alone, masks)
    windows = logits_in_windows(classifier, layers, alone, masks)
    return bool((windows - whole).abs().max() <= _SAME * whole.abs().max())


def _layout(values: Float[Tensor, "n c h w"]) -> torch.memory_format:
    last = values.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _candidates(classifier: Classifier) -> list[Layer]:
    """Fine enough layers of one size with the picture, of what is run where nothing is asked."""
    (height, width), found = classifier.preprocessing.size, []
    fastest = classifier.runner.network()
    for block in blocks(classifier):
        _, rows, columns = block.shape
        stride = height // rows
        fits = (stride * rows, stride * columns) == (height, width) and stride <= _COARSEST
        if fits and classifier.runner.network([block.name]) is fastest:
            found.append(block)
    return found


def _probed(classifier: Classifier, layers: Sequence[Layer]) -> list[Local]:
    """How far each layer looks, up to the first that looks far.

    Of two blank pictures one has a NaN where the middle of the next layer comes from; once that
    layer has run, its activation is the blank one again but for the next NaN.
    """
    height, _ = classifier.preprocessing.size
    strides = [1, *(height // layer.shape[1] for layer in layers)]
    found: list[Local] = []

    def poisoned(blank: Tensor, index: int) -> Tensor:
        """The blank input of a layer, and with a NaN."""
        each = max(strides[index + 1] // strides[index], 1) if index < len(layers) else 1
        row, column = (n // each // 2 * each for n in blank.shape[2:])
        both = blank.repeat(2, 1, 1, 1)
        both[1, :, row : row + each, column : column + each] = torch.nan
        return both.contiguous(memory_format=_layout(blank))

    def look(index: int, output: Tensor) -> Tensor:
        blank, seen = output[:1].clone(), output[1].isnan().any(dim=0)
        far = [
            (seen.any(dim=1 - axis).nonzero() - n // 2).abs().max().item()
            for axis, n in enumerate(seen.shape)
            if seen.any()
        ]
        reach = int(max(far, default=height))
        found.append(Local(layers[index].name, strides[index + 1], reach, blank))
        return poisoned(blank, index + 1)

    blank = classifier.normalize(classifier.preprocessing.blank()) * 0
    looks = {layer.name: partial(look, i) for i, layer in enumerate(layers)}
    run_with(classifier, poisoned(blank, 0), looks)
    return list(takewhile(lambda one: one.reach * one.stride < height // 4, found))
