"""Images decoded and resized in threads, ahead of the model, in order and in batches."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from gradbox.errors import ImageError
from gradbox.files import hash_bytes, hash_file
from gradbox.geometry import Frame
from gradbox.images.decode import is_blank, load_rgb
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import RGB, Batch, ImageSource, Sample, Selection

BATCHES_AHEAD = 3
WORKERS = 2
_USUAL = Selection()


@dataclass(frozen=True, eq=False)
class Loaded:
    """One image at input size: `pixels` (3, h, w) uint8 RGB, and the SHA-256 of its file or pixels.

    `blank` says that every pixel is the same. `original` is the decoded image, where it was kept.
    """

    sample: Sample
    pixels: UInt8[np.ndarray, "3 h w"]
    frame: Frame
    sha256: str
    blank: bool
    original: UInt8[np.ndarray, "H W 3"] | None = None


@dataclass(frozen=True, eq=False)
class Failed:
    """An image that cannot be used, and why."""

    sample: Sample
    error: ImageError


def load_batches(
    samples: Iterable[Sample],
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    workers: int = WORKERS,
    keep_originals: bool = False,
) -> Iterator[list[Loaded | Failed]]:
    """The samples in order, `batch_size` at a time, decoded ahead of the caller by threads.

    With the decoded images kept only one batch is ahead: they may be large.
    """
    batches_ahead = 1 if keep_originals else BATCHES_AHEAD
    with ThreadPoolExecutor(workers, thread_name_prefix="gradbox-load") as pool:
        waiting: deque[Future[Loaded | Failed]] = deque()
        rest = iter(samples)
        try:
            while True:
                ahead = batch_size * batches_ahead - len(waiting)
                waiting.extend(
                    pool.submit(load, s, preprocessing, keep_original=keep_originals)
                    for s in islice(rest, ahead)
                )
                if not waiting:
                    return
                count = min(batch_size, len(waiting))
                yield [waiting.popleft().result() for _ in range(count)]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def load(
    sample: Sample, preprocessing: Preprocessing, *, keep_original: bool = False
) -> Loaded | Failed:
    """Decode one sample and bring it to input size."""
    try:
        rgb = load_rgb(sample.source)
        size = (rgb.shape[0], rgb.shape[1])
        if sample.size is not None and sample.size != size:
            stated, found = (f"{h} x {w}" for h, w in (sample.size, size))
            raise ImageError(
                f"the image is {found} pixels (height x width) but the data set says {stated}"
            )
        pixels, frame = preprocessing.resized(rgb)
    except ImageError as error:
        return Failed(sample, error)
    digest, original = hash_source(sample.source, rgb), rgb if keep_original else None
    return Loaded(sample, pixels, frame, digest, is_blank(rgb), original)


def hash_source(source: ImageSource, rgb: RGB | None = None) -> str:
    """SHA-256 of the image's file, or of its pixels (`rgb` if at hand) where there is none."""
    if isinstance(source, (str, Path)):
        return hash_file(Path(source))
    return hash_bytes((load_rgb(source) if rgb is None else rgb).tobytes())


def to_batch(
    loaded: Sequence[Loaded],
    labels_of: Callable[[Sample], tuple[int, ...] | None] = lambda _: None,
    selection: Selection = _USUAL,
) -> Batch:
    """The batch that a localizer takes."""
    kept = [one.original for one in loaded if one.original is not None]
    return Batch(
        image_ids=tuple(one.sample.image_id for one in loaded),
        pixels=torch.from_numpy(np.stack([one.pixels for one in loaded])),
        frames=tuple(one.frame for one in loaded),
        labels=tuple(labels_of(one.sample) for one in loaded),
        selection=selection,
        originals=tuple(kept) if len(kept) == len(loaded) else (),
    )
