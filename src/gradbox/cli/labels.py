"""`gradbox labels`: the labelling configuration of a project in Label Studio."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli.console import hint, say
from gradbox.errors import UsageError

_MANY = 100


def labels(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Labels; without them, those of --file or of --model."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A text file with one label a line.", metavar="FILE")
    ] = None,
    model: mo.Model = None,
    shapes: Annotated[
        str,
        typer.Option(
            help="What is drawn, with commas: rectangle, brush (masks), polygon, keypoint.",
            metavar="SHAPES",
        ),
    ] = "rectangle",
) -> None:
    """Print a labelling configuration for Label Studio, to be pasted in Labeling Interface, Code.

    `gradbox labels cat dog` or `gradbox labels --model card.toml --shapes rectangle,brush`
    """
    from gradbox.exports.classes import printable
    from gradbox.labelstudio.configuration import shapes_of, written

    drawn = shapes_of(shapes)
    chosen = dict.fromkeys(printable(name) for name in _names(names or [], file, model))
    if len(chosen) > _MANY:
        hint(f"{len(chosen)} labels: people find theirs faster where only those in use are listed")
    for line in written(chosen, drawn).splitlines():
        say(line)


def _names(names: list[str], file: Path | None, model: str | None) -> list[str]:
    given = [names, file, model]
    if sum(bool(one) for one in given) > 1:
        raise UsageError("labels come from one place: leave out two of names, --file and --model")
    if names:
        return names
    if file is not None:
        from gradbox.datasets.layout import read_text

        found = [line.strip() for line in read_text(file).split("\n")]
        if not any(found):
            raise UsageError(f"{file} is empty: write one label a line")
        return [line for line in found if line]
    from gradbox.models.efficientnet_lite import DEFAULT_MODEL
    from gradbox.models.load import load_classifier

    classifier = load_classifier(model or DEFAULT_MODEL)
    if not classifier.class_names:
        raise UsageError(f"{classifier.name} has no names of classes: write the labels instead")
    return list(classifier.class_names)
