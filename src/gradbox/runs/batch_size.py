"""How many images go in one pass: as said, as pays, or as there is memory for."""

import warnings
from typing import Any, Literal

from gradbox.errors import GradboxWarning, UsageError

Asked = int | Literal["auto"]

START = 8
MOST = {"cpu": 32}
"""Images of one pass where it grows; more than this was never faster on a CPU."""
_MOST_ELSEWHERE = 1024
_PAYS = 1.05
_PASSES = 2
"""Passes of each size that are timed; the first one is slower."""


class BatchSize:
    """The images of the next pass, `now`, and whether that still `grows`.

    With `auto` it doubles while the method does over 5 % more images a second; where memory ends it
    is half of what failed. The results do not depend on it.
    """

    def __init__(self, asked: Asked, device: str = "cpu") -> None:
        if asked != "auto" and asked < 1:
            raise UsageError(f"batch_size={asked}: 1 or more images, or auto")
        self.now = START if asked == "auto" else asked
        self._asked = asked
        self._most = MOST.get(device, _MOST_ELSEWHERE)
        self.grows = asked == "auto"
        self._halved = 0
        self._rates: list[float] = []
        self._best = 0.0

    @property
    def is_halved(self) -> bool:
        """Whether there was no memory for some batch as it was."""
        return self._halved > 0

    @property
    def about(self) -> dict[str, Any]:
        """What `run.json` says of it: nothing where it is as it was asked for."""
        changed = self._asked == "auto" or self._halved
        more = {"out_of_memory": self._halved} if self._halved else {}
        return {"batch": {"size": self.now, **more}} if changed else {}

    def took(self, count: int, seconds: float) -> None:
        """Learn of a pass, and grow where that pays."""
        if not self.grows or count != self.now:
            return
        self._rates.append(count / seconds)
        if len(self._rates) < _PASSES:
            return
        rate, self._rates = max(self._rates), []
        pays = rate > _PAYS * self._best
        self.grows = pays and self.now < self._most
        if self.grows:
            self.now, self._best = 2 * self.now, rate
        elif not pays:
            self.now //= 2

    def halve(self, failed: int) -> None:
        """Go on with half of the images of a pass for which there was no memory."""
        self.grows = False
        self._halved += 1
        self.now = min(self.now, max(1, failed // 2))
        warnings.warn(
            f"out of memory with {failed} images in one pass: it is done again with {self.now}, "
            "and so are all others",
            GradboxWarning,
            stacklevel=2,
        )
