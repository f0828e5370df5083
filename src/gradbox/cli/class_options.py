"""The options that say which classes are located."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from gradbox.errors import UsageError

if TYPE_CHECKING:
    from gradbox.localization import Selection


@dataclass(frozen=True)
class ClassOptions:
    """Which classes are located: those that are named, or the most probable ones."""

    label: Annotated[
        list[str] | None,
        typer.Option(help="A class to locate, by name, wnid or index; may be given again."),
    ] = None
    top: Annotated[int | None, typer.Option(help="Locate the N most probable classes.", min=1)] = (
        None
    )
    near_top: Annotated[
        float | None,
        typer.Option(help="Also all classes with at least R times the best probability."),
    ] = None
    above: Annotated[
        str | None,
        typer.Option(
            help="Every class with at least this probability, or with `thresholds` that of the"
            " model card for each.",
            metavar="P",
        ),
    ] = None

    @property
    def labels(self) -> list[str]:
        """The classes that are named."""
        return self.label or []

    def selection(self) -> "Selection | None":
        """Which of the most probable ones, None where nobody says."""
        from gradbox.localization import Selection

        if self.above is None:
            chosen = self.top is not None or self.near_top is not None
            return Selection(top=self.top or 1, near_top=self.near_top) if chosen else None
        if self.top is not None:
            raise UsageError("--above takes all classes that are there: leave out --top")
        if self.above == "thresholds":
            return Selection(near_top=self.near_top, above="thresholds")
        try:
            return Selection(near_top=self.near_top, above=float(self.above))
        except ValueError as error:
            if isinstance(error, UsageError):
                raise
            raise UsageError(
                f"--above {self.above}: a probability, 0 < P < 1, or thresholds"
            ) from error
