"""How a classifier of transformers wants its input, by the file of its image processor."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gradbox.errors import UsageError
from gradbox.geometry import Size
from gradbox.images.preprocessing import Interpolation, Preprocessing

PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
_FILTERS: Mapping[int, Interpolation] = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers."""
_SQUASHED_FROM = 384
"""ConvNeXT's `crop_pct` is for inputs below it: from there on the whole image is seen."""


def preprocessing_of(name: str, folder: Path, channels: int) -> Preprocessing:
    """The preprocessing that the processor's file says, for images of so many channels.

    What is resized to a size and cropped is resized by its shorter side, which is the same for
    square images.

    Raises:
        UsageError: there is no such file, or it does not say the size or another thing of it.
    """
    path = next((folder / file for file in PROCESSOR_FILES if (folder / file).is_file()), None)
    if path is None:
        raise UsageError(
            f"hf/{name} has no {PROCESSOR_FILES[0]}, which says its input: save its processor, "
            f'too, or give a model card with architecture = "hf/{name}" and [input]'
        )
    try:
        said = json.loads(path.read_text("utf-8"))
        said = said.get("image_processor", said)
        size, resize = _size(said)
        scale, mean, std = _normalization(said, channels)
        return Preprocessing(
            size=size,
            resize=resize,
            interpolation=_FILTERS[int(said.get("resample", 2))],
            color="BGR" if said.get("do_flip_channel_order") else "RGB",
            scale=scale,
            mean=mean,
            std=std,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(
            f"{path} does not say how the input is made ({reason}): give a model card with "
            f'architecture = "hf/{name}" and [input]'
        ) from error


def _size(said: Mapping[str, Any]) -> tuple[Size, Any]:
    """The size of the input, and how an image is resized before a crop to it."""
    crops = said.get("do_center_crop", "crop_size" in said and "crop_pct" not in said)
    given = said["crop_size"] if crops and not said.get("do_resize", True) else said["size"]
    if said.get("crop_pct"):
        side = _shortest(given)
        squashed = side >= _SQUASHED_FROM
        return (side, side), "squash" if squashed else int(side / said["crop_pct"])
    if crops:
        return _sides(said["crop_size"]), _shortest(given)
    if isinstance(given, dict) and "shortest_edge" in given:
        return _sides(given), _shortest(given)
    return _sides(given), "squash"


def _sides(given: Any) -> Size:
    """Height and width, of a number those of a square."""
    if isinstance(given, dict) and "height" in given:
        return int(given["height"]), int(given["width"])
    side = _shortest(given)
    return side, side


def _shortest(given: Any) -> int:
    if not isinstance(given, dict):
        return int(given)
    if "shortest_edge" in given:
        return int(given["shortest_edge"])
    return min(int(given["height"]), int(given["width"]))


def _normalization(
    said: Mapping[str, Any], channels: int
) -> tuple[float, tuple[float, ...], tuple[float, ...]]:
    """The scale of values in 0..1, and the mean and the standard deviation of each channel."""
    factor = said.get("rescale_factor", 1 / 255) if said.get("do_rescale", True) else 1.0
    scale = 255 * float(factor)
    mean, std = (0.0,) * channels, (1.0,) * channels
    unused = "do_flip_channel_order" in said  # MobileViT's file has means that it does not use
    if said.get("do_normalize", "image_mean" in said and not unused):
        mean, std = (_each(said[f"image_{kind}"], channels) for kind in ("mean", "std"))
    if said.get("rescale_offset"):
        mean = tuple(value + 1 for value in mean)
    if said.get("include_top"):  # EfficientNet's processor divides once more
        std = tuple(value**2 for value in std)
    return scale, mean, std


def _each(given: Any, channels: int) -> tuple[float, ...]:
    return tuple(map(float, given)) if isinstance(given, list) else (float(given),) * channels
