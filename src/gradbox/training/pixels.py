"""All images of a training at input size, decoded once into one unnamed file on disk."""

import hashlib
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from gradbox.errors import UsageError
from gradbox.images.batches import Loaded, load_batches
from gradbox.images.preprocessing import Preprocessing
from gradbox.progress import Track
from gradbox.training.labels import Labelled

_BATCH = 64
_WORKERS = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Pixels:
    """The usable images and their uint8 RGB pixels (n, 3, h, w), one row each, in order.

    `rows` is mapped from disk, so it may be larger than the memory. `sha256` is the hash over ids,
    labels and pixels; `skipped` names the images that could not be used, each with the reason.
    """

    images: Sequence[Labelled]
    rows: UInt8[Tensor, "n 3 h w"]
    sha256: str
    skipped: tuple[str, ...]


def decode(
    images: Sequence[Labelled], preprocessing: Preprocessing, folder: Path, track: Track
) -> Pixels:
    """Read all images; one that is unusable is skipped.

    Args:
        images: at least one.
        preprocessing: what the network will see later.
        folder: where the unnamed file lies while it is in use; it takes 3 h w bytes an image.
        track: shows progress.

    Raises:
        UsageError: there is no room for the file, or the folder cannot be made.
    """
    rows = _rows(folder, (len(images), 3, *preprocessing.size))
    usable: list[Labelled] = []
    skipped: list[str] = []
    digest = hashlib.sha256()
    samples, waiting = [one.sample for one in images], iter(images)
    batches = load_batches(samples, preprocessing, batch_size=_BATCH, workers=_WORKERS)
    for batch in track(batches, len(images), "reading images"):
        for one, image in zip(batch, waiting, strict=False):
            if not isinstance(one, Loaded):
                skipped.append(f"{image.image_id}: {one.error}")
                continue
            digest.update("".join(f"{text}\0" for text in (image.image_id, *image.labels)).encode())
            digest.update(one.pixels.tobytes())
            rows[len(usable)] = np.rint(one.pixels)
            usable.append(image)
    return Pixels(
        images=usable,
        rows=torch.from_numpy(rows[: len(usable)]),
        sha256=digest.hexdigest(),
        skipped=tuple(skipped),
    )


def _rows(folder: Path, shape: tuple[int, ...]) -> np.memmap:
    """Bytes mapped from a file whose room is taken now: a full disk later would end the process."""
    size = math.prod(shape)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without a name the file is gone as soon as nobody uses it, also after a kill.
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=np.uint8, shape=shape)
    except OSError as error:
        raise UsageError(
            f"{folder}: {error.strerror}: the images take {size / 1e6:,.1f} MB there at this size; "
            "give another out folder or a smaller size"
        ) from error
