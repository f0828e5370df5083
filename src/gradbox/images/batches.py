"""Images decoded and resized in threads, ahead of the model, in order and in batches."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from jaxtyping import Shaped

from gradbox.errors import ImageError
from gradbox.files import hash_bytes
from gradbox.geometry import Frame
from gradbox.images.decode import NO_MEMORY, decode, is_blank
from gradbox.images.memory import Budget, Share
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.read import ImageStream, hash_image, hash_stream, open_image
from gradbox.images.sources import broken_is_an_error
from gradbox.localization import Batch, ImageFile, ImageSource, Pixels, Sample, Selection
from gradbox.stores import StoredFile

BATCHES_AHEAD = 3
_MOST_WORKERS = 16


def cores() -> int:
    """How many cores this process may use."""
    of_process = getattr(os, "sched_getaffinity", None)
    return len(of_process(0)) if of_process else os.cpu_count() or 1


WORKERS = min(cores(), _MOST_WORKERS)
"""Threads that decode: with fewer than cores some stand idle where the model waits."""
_USUAL = Selection()


@dataclass(frozen=True, eq=False)
class Loaded:
    """One image at input size: `pixels` (c, h, w) in 0..255, the SHA-256 of its file or pixels.

    `blank` says that every pixel is the same.
    """

    sample: Sample
    pixels: Shaped[np.ndarray, "c h w"]
    frame: Frame
    sha256: str
    blank: bool
    share: Share = field(repr=False)

    @property
    def original(self) -> Pixels | None:
        """The decoded image, if it is kept, until the next batch is asked for."""
        return self.share.kept


@dataclass(frozen=True, eq=False)
class Failed:
    """An image that cannot be used, and why."""

    sample: Sample
    error: ImageError


def load_batches(
    samples: Iterable[Sample],
    preprocessing: Preprocessing,
    *,
    batch_size: int | Callable[[], int],
    workers: int = WORKERS,
    keep_originals: bool = False,
) -> Iterator[list[Loaded | Failed]]:
    """The samples in order, `batch_size` at a time, decoded ahead of the caller by threads.

    A function says it anew for each batch.
    All decoded images together stay in one `Budget` of memory. Where they are kept, a batch of
    large ones is smaller, and they are dropped when the next one is asked for.
    """
    size = batch_size if callable(batch_size) else lambda: batch_size
    budget, rest = Budget(), iter(samples)
    waiting: deque[tuple[Share, Future[Loaded | Failed]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="gradbox-load") as pool:
        try:
            while True:
                count = size()
                for sample in islice(rest, max(0, count * BATCHES_AHEAD - len(waiting))):
                    share = budget.share()
                    loading = pool.submit(
                        load, sample, preprocessing, keep_original=keep_originals, share=share
                    )
                    waiting.append((share, loading))
                if not waiting:
                    return
                shares: list[Share] = []
                batch: list[Loaded | Failed] = []
                while waiting and len(batch) < count and budget.wait(*waiting[0]):
                    share, loading = waiting.popleft()
                    shares.append(share)
                    batch.append(loading.result())
                yield batch
                for share in shares:
                    share.close()
        finally:
            budget.close()
            pool.shutdown(wait=True, cancel_futures=True)


def load(
    sample: Sample,
    preprocessing: Preprocessing,
    *,
    keep_original: bool = False,
    share: Share | None = None,
) -> Loaded | Failed:
    """Decode one sample and bring it to input size, in its share of the memory."""
    try:
        with share or Budget().share() as share, _opened(sample.source) as source:
            decoded = decode(
                source,
                channels=preprocessing.channels,
                reading=preprocessing.reading,
                take=share.take,
                enough=None if keep_original else preprocessing.enough,
            )
            if sample.size is not None and sample.size != decoded.size:
                stated, found = (f"{h} x {w}" for h, w in (sample.size, decoded.size))
                raise ImageError(
                    f"the image is {found} pixels (height x width) but the data set says {stated}"
                )
            pixels, frame = preprocessing.resized(decoded.pixels, original=decoded.size)
            blank = is_blank(decoded.pixels)
            digest = hash_source(source)
            if keep_original:
                share.keep(decoded.pixels)
    except ImageError as error:
        return Failed(sample, error.of(sample.image_id))
    except MemoryError:
        return Failed(sample, ImageError(NO_MEMORY, image_id=sample.image_id))
    return Loaded(sample, pixels, frame, digest, blank, share)


@contextmanager
def _opened(source: ImageSource) -> Iterator[ImageSource | ImageStream]:
    """A file of a store or tar open, to be fetched once; an image that is made, once."""
    if isinstance(source, StoredFile):
        with open_image(source) as stream:
            yield stream
    else:
        yield source() if callable(source) else source


def hash_source(source: ImageSource | ImageStream) -> str:
    """SHA-256 of the image's file, or of its numbers where there is none.

    Raises:
        ImageError: it cannot be read.
    """
    if isinstance(source, ImageFile):
        return hash_image(source)
    if isinstance(source, ImageStream):
        return hash_stream(source)
    with broken_is_an_error():
        made = np.asarray(source() if callable(source) else source)
        return hash_bytes(np.ascontiguousarray(made).tobytes())


def to_batch(
    loaded: Sequence[Loaded],
    labels_of: Callable[[Sample], tuple[int, ...] | None] = lambda _: None,
    selection: Selection = _USUAL,
    *,
    pinned: bool = False,
) -> Batch:
    """The batch that a localizer takes; `pinned` pixels are copied to a GPU while it computes."""
    pixels = torch.from_numpy(np.stack([one.pixels for one in loaded]))
    kept = [one.original for one in loaded if one.original is not None]
    return Batch(
        image_ids=tuple(one.sample.image_id for one in loaded),
        pixels=pixels.pin_memory() if pinned else pixels,
        frames=tuple(one.frame for one in loaded),
        labels=tuple(labels_of(one.sample) for one in loaded),
        selection=selection,
        originals=tuple(kept) if len(kept) == len(loaded) else (),
    )
