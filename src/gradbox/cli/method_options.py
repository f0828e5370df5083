"""Options that change the text of a --method: `--no-foreground`, `--tile N --overlap R`."""

from dataclasses import dataclass, replace
from typing import Annotated

import typer

from gradbox.errors import UsageError


@dataclass(frozen=True)
class ForegroundOptions:
    """Whether `auto` may use a part that has learned from anybody's boxes."""

    foreground: Annotated[
        bool | None,
        typer.Option(
            "--foreground/--no-foreground",
            help="Whether `auto` uses the foreground head, which boxes of photographs have taught;"
            " it does where the extra `imagenet` is installed.",
            show_default=False,
        ),
    ] = None

    def with_foreground(self, method: str) -> str:
        """The text of a method that does with or without it, where that is asked for."""
        if self.foreground is None:
            return method
        from gradbox.auto.method import Auto
        from gradbox.grammar import parse
        from gradbox.methods import to_method

        if not isinstance(to_method(method), Auto):
            flag = "--foreground" if self.foreground else "--no-foreground"
            raise UsageError(f"{flag} is about the method auto, not {method}: leave it out")
        spec = parse(method)
        return str(replace(spec, kwargs={**spec.kwargs, "foreground": self.foreground}))


@dataclass(frozen=True)
class TileOptions:
    """Whether a method also looks at tiles of the images."""

    tile: Annotated[
        int | None,
        typer.Option(
            help="Also look at tiles of N x N pixels of an image with a side above 1.5 N: for small"
            " objects in large pictures.",
            metavar="N",
        ),
    ] = None
    overlap: Annotated[
        float | None,
        typer.Option(help="The share of a side that neighbouring tiles share: 0.2.", metavar="R"),
    ] = None

    def on_tiles(self, method: str) -> str:
        """The text of a method, `tiled` where --tile is given."""
        if self.tile is None:
            if self.overlap is not None:
                raise UsageError(f"--overlap {self.overlap} needs tiles, as in --tile 640")
            return method
        overlap = "" if self.overlap is None else f", overlap={self.overlap}"
        return f"tiled({method}, size={self.tile}{overlap})"
