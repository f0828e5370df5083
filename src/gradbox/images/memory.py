"""The memory of the images that are decoded and not yet through: one budget for all of them."""

import ctypes
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from threading import Condition
from typing import Any

import numpy as np

BUDGET = 768 * 2**20
"""Bytes of all decoded images together, with what their decoders need beside them."""


_LARGE = 128 * 2**20


def _give_back_to_the_system() -> None:
    """What a thread has freed; the allocator of glibc keeps it for the same thread otherwise."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Budget:
    """Bytes that are given out in the order of the images.

    So whoever waits for memory waits for earlier images only: no later one can have taken it.
    """

    def __init__(self, size: int = BUDGET) -> None:
        self._size = self._free = size
        self._shares = 0
        self._turn = 0
        self._closed = False
        self._changed = Condition()

    def share(self) -> "Share":
        """The share of the next image."""
        self._shares += 1
        return Share(self, self._shares - 1)

    def wait(self, share: "Share", image: "Future[Any]") -> bool:
        """Wait until the next image is loaded; False if it needs memory that earlier ones keep."""
        image.add_done_callback(lambda _: self._notify())
        with self._changed:
            self._changed.wait_for(lambda: image.done() or self._lacks(share))
            return image.done()

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _lacks(self, share: "Share") -> bool:
        return share.turn == self._turn and share.asked > self._free

    def _take(self, share: "Share", size: int) -> None:
        with self._changed:
            share.asked = min(size, self._size)
            self._changed.notify_all()  # for `wait`
            self._changed.wait_for(
                lambda: self._closed or (share.turn == self._turn and share.asked <= self._free)
            )
            if self._closed:
                raise CancelledError
            self._free -= share.asked
            self._turn += 1
            self._changed.notify_all()

    def _give(self, size: int) -> None:
        with self._changed:
            self._free += size
            self._changed.notify_all()


class Share:
    """What one image holds of a budget, and the decoded image where it is kept.

    As a context it gives back, at its end, all but what is kept.
    """

    def __init__(self, budget: Budget, turn: int) -> None:
        self.turn = turn
        self.asked = 0
        self.kept: np.ndarray | None = None
        self._budget = budget
        self._held: int | None = None

    def take(self, size: int) -> None:
        """Wait for this many bytes, or for all; once for each image."""
        self._budget._take(self, size)
        self._held = self.asked

    def keep(self, image: np.ndarray) -> None:
        """Hold an image until the share is closed."""
        self.kept = image

    def close(self) -> None:
        """Drop the image that is kept."""
        self.kept = None
        self._shrink(0)

    def _shrink(self, size: int) -> None:
        assert self._held is not None
        self._budget._give(self._held - size)
        self._held = size

    def __enter__(self) -> "Share":
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is None:
            self.take(0)  # the next image waits for this one's turn
        if self.asked > _LARGE:
            _give_back_to_the_system()
        self._shrink(0 if self.kept is None else self.kept.nbytes)
