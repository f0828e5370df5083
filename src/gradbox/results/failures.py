"""The images that failed: all counted, the first of them with their reason."""

from collections.abc import Iterable, Iterator, Mapping

KEPT = 1000
"""So many have their reason: more would take memory, and nobody reads them."""


class Failures(Mapping[str, str]):
    """Why the first images that failed did, by image id; `count` is the number of all."""

    def __init__(self, failed: Iterable[tuple[str, str]] = ()) -> None:
        self.count = 0
        self._kept: dict[str, str] = {}
        for image_id, reason in failed:
            self.add(image_id, reason)

    def __getitem__(self, image_id: str) -> str:
        return self._kept[image_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, image_id: str, reason: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self._kept) < KEPT:
            self._kept[image_id] = reason
