"""A model in a thread of its own: images come in by their addresses, shapes come out in time."""

import heapq
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from gradbox.errors import ImageError
from gradbox.labelstudio.regions import Shapes
from gradbox.localization import Found, Sample
from gradbox.runs.plan import Plan, chunks
from gradbox.serve.images import Places

MOST_WAITING = 20_000
"""Images that wait; more are not done, and can be asked for again."""
_MOST_KEPT = 100_000
"""Images whose shapes are kept, of some kilobytes each."""
_FETCHERS = 4

Made = Shapes | ImageError
"""What came of one image."""


@dataclass(order=True)
class _Wanted:
    """An image that is waited for; those of small requests go first, then those asked first."""

    priority: tuple[int, int]
    address: str = field(compare=False)
    made: "Future[Made]" = field(compare=False, default_factory=Future)


@dataclass(order=True)
class _Ready:
    """An image that lies in a file, until `close` is called."""

    wanted: _Wanted
    path: Path = field(compare=False)
    sha256: str = field(compare=False)
    file: ExitStack = field(compare=False)


class Predictor:
    """Localizes images by their addresses, and keeps what came of them by the images' hashes.

    Nothing that was asked for is dropped when nobody waits any longer: it goes on behind what is
    asked for meanwhile, so that the next call finds it.
    """

    def __init__(self, plan: Plan, places: Places, *, batch_size: int, masks: bool) -> None:
        self._plan, self._places = plan, places
        self._batch_size, self._masks = batch_size, masks
        self._names = plan.classifier.class_name
        self._numbers = count()
        self._changed = threading.Condition()
        self._waiting: dict[str, _Wanted] = {}
        self._to_fetch: list[_Wanted] = []
        self._ready: list[_Ready] = []
        self._kept: OrderedDict[str, Shapes] = OrderedDict()
        self._is_open = True
        self._spool = TemporaryDirectory(prefix="gradbox-serve-")
        self._threads = [threading.Thread(target=self._predict, name="gradbox-model", daemon=True)]
        self._threads += [
            threading.Thread(target=self._fetch, name=f"gradbox-fetch-{i}", daemon=True)
            for i in range(_FETCHERS)
        ]

    def __enter__(self) -> "Predictor":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=5)
        for one in self._ready:
            one.file.close()
        self._spool.cleanup()

    def ask(self, addresses: Sequence[str]) -> list["Future[Made]"]:
        """What will come of these images, in order; what is on its way already is shared."""
        found = []
        with self._changed:
            for address in addresses:
                wanted = self._waiting.get(address)
                priority = (len(addresses), next(self._numbers))
                if wanted is None and len(self._waiting) >= MOST_WAITING:
                    wanted = _Wanted(priority, address)
                    wanted.made.set_result(ImageError(f"more than {MOST_WAITING} images wait"))
                elif wanted is None:
                    wanted = self._waiting[address] = _Wanted(priority, address)
                    heapq.heappush(self._to_fetch, wanted)
                elif priority < wanted.priority:
                    wanted.priority = priority
                    heapq.heapify(self._to_fetch)
                    heapq.heapify(self._ready)
                found.append(wanted.made)
            self._changed.notify_all()
        return found

    def _fetch(self) -> None:
        """Fetch images, at most two batches ahead of the model."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_open or self._may_fetch())
                if not self._is_open:
                    return
                wanted = heapq.heappop(self._to_fetch)
            with ExitStack() as stack:
                try:
                    file = self._places.file(wanted.address, Path(self._spool.name))
                    path, sha256 = stack.enter_context(file)
                    kept = self._known(sha256)
                except ImageError as error:
                    self._done(wanted, error)
                    continue
                except Exception as error:  # whatever a request may raise: the thread has to go on
                    self._done(wanted, ImageError(f"{type(error).__name__}: {error}"))
                    continue
                if kept is not None:
                    self._done(wanted, kept)
                    continue
                with self._changed:
                    ready = _Ready(wanted, path, sha256, stack.pop_all())
                    heapq.heappush(self._ready, ready)
                    self._changed.notify_all()

    def _may_fetch(self) -> bool:
        if not self._to_fetch:
            return False
        is_urgent = not self._ready or self._to_fetch[0] < self._ready[0].wanted
        return is_urgent or len(self._ready) < 2 * self._batch_size

    def _predict(self) -> None:
        """Localize what is there, at most a batch at a time."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_open or self._ready)
                if not self._is_open:
                    return
                some = min(self._batch_size, len(self._ready))
                batch = [heapq.heappop(self._ready) for _ in range(some)]
                self._changed.notify_all()
            with ExitStack() as stack:
                for one in batch:
                    stack.enter_context(one.file)
                try:
                    made = self._localized(batch)
                except Exception as error:  # the thread has to go on, whatever a model raises
                    made = [ImageError(f"the method failed: {error}") for _ in batch]
                for one, result in zip(batch, made, strict=True):
                    if isinstance(result, Shapes):
                        self._keep(one.sha256, result)
                    self._done(one.wanted, result)

    def _localized(self, batch: Sequence[_Ready]) -> list[Made]:
        samples = [Sample(image_id=str(i), source=one.path) for i, one in enumerate(batch)]
        (chunk,) = chunks(
            [replace(self._plan, samples=samples)],
            batch_size=len(batch),
            workers=len(batch),
            details=self._masks,
        )
        return [self._shapes(found) for found in chunk.found[0]]

    def _shapes(self, found: Found) -> Made:
        if isinstance(found, ImageError):
            return found
        return Shapes.of(found, [self._names(label) for label in found.labels])

    def _known(self, sha256: str) -> Shapes | None:
        with self._changed:
            if sha256 in self._kept:
                self._kept.move_to_end(sha256)
            return self._kept.get(sha256)

    def _keep(self, sha256: str, shapes: Shapes) -> None:
        with self._changed:
            self._kept[sha256] = shapes
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def _done(self, wanted: _Wanted, made: Made) -> None:
        with self._changed:
            del self._waiting[wanted.address]
            self._changed.notify_all()
        wanted.made.set_result(made)
