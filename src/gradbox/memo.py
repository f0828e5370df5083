"""What was computed of the pixels of a batch, once for all who ask, and what each has paid."""

from collections.abc import Hashable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Kept:
    """What was made, in how many seconds without its parts, and which kept parts it is made of."""

    made: Any
    seconds: float
    parts: frozenset[Hashable]


class Memo:
    """What was computed of the pixels of a batch, once for all who ask.

    A key is anything with a hash; what has none is not kept. Who asks after others pays for what
    they left as if it had been alone: each thing once, a pass that two of its maps share as well.
    """

    def __init__(self) -> None:
        self._kept: dict[Any, _Kept] = {}
        self._spared = 0.0
        self._next_asker()

    def _next_asker(self) -> None:
        self._here: set[Any] = set()  # what this one has made or paid for
        self._paid: list[tuple[float, float]] = []  # when, and how much
        self._touched: list[tuple[float, Any]] = []  # when, and what

    def start(self) -> float:
        """The time of the `clock` at which another method begins to ask."""
        self._next_asker()
        return self.clock()

    def forget(self) -> None:
        """Let go of all of it, for the memory."""
        self._kept.clear()

    def clock(self) -> float:
        """Seconds as if nothing had been known: those that were spared are counted, too."""
        return perf_counter() + self._spared

    def known(self, key: Any) -> Any:
        """What was kept with this key, None where nothing was."""
        if not _has_hash(key) or key not in self._kept:
            return None
        self._touched.append((self.clock(), key))
        self._pay(key)
        return self._kept[key].made

    def keep(self, key: Any, made: T, *, since: float) -> T:
        """Keep what was made since this time of the `clock`."""
        if _has_hash(key):
            now = self.clock()
            seconds = now - since - sum(paid for at, paid in self._paid if at >= since)
            parts = frozenset(part for at, part in self._touched if at >= since)
            self._kept[key] = _Kept(made, seconds, parts)
            self._here.add(key)
            self._paid.append((now, seconds))
            self._touched.append((now, key))
        return made

    def _pay(self, key: Any) -> None:
        kept = self._kept.get(key)
        if kept is None or key in self._here:
            return
        self._here.add(key)
        self._paid.append((self.clock(), kept.seconds))
        self._spared += kept.seconds
        for part in kept.parts:
            self._pay(part)


def _has_hash(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return False
    return True
