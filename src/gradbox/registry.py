"""Names for what can be chosen, which installed packages and files of the user's may add to."""

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from gradbox.errors import UsageError
from gradbox.functions import load_function

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """gradbox's own parts by name, those of entry points, and `path/file.py:Name`.

    An installed package adds a name with an entry point of the group, as in
    `[project.entry-points."gradbox.methods"]`; gradbox's own names go before. A part is loaded when
    it is asked for, at most once.
    """

    def __init__(self, group: str, own: Mapping[str, T]) -> None:
        self.group = group
        self.files: dict[str, T] = {}  # what was loaded from files; no list shows their names
        self._loaded: dict[str, T] = dict(own)
        self._points: dict[str, EntryPoint] | None = None

    def __getitem__(self, name: str) -> T:
        """The part of this name; importing it runs the code of the package or file.

        Raises:
            KeyError: there is no such name.
            UsageError: what it names cannot be loaded.
        """
        kept = self.files if ".py:" in name else self._loaded
        if name not in kept:
            kept[name] = self._load(name)
        return kept[name]

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._found or ".py:" in str(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._loaded, *self._found]))

    def __len__(self) -> int:
        return len({*self._loaded, *self._found})

    @property
    def _found(self) -> Mapping[str, EntryPoint]:
        if self._points is None:
            self._points = {point.name: point for point in entry_points(group=self.group)}
        return self._points

    def _load(self, name: str) -> Any:
        if ".py:" in name:
            return load_function(name)
        point = self._found[name]
        try:
            return point.load()
        except Exception as error:  # whatever another package raises when it is imported
            package = point.dist.name if point.dist else point.value
            raise UsageError(
                f"{name!r} comes from the package {package}, which cannot be imported "
                f"({type(error).__name__}: {error}): mend or uninstall it"
            ) from error
