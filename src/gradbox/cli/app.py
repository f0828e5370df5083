"""The commands of `gradbox`, each in the file of its name: parse, call `pipeline`, render."""

from importlib.metadata import version
from typing import Annotated

import typer

from gradbox.cli.again import again
from gradbox.cli.bench import bench
from gradbox.cli.compare import compare
from gradbox.cli.console import say
from gradbox.cli.demo import demo
from gradbox.cli.doctor import doctor
from gradbox.cli.evaluate import evaluate
from gradbox.cli.export import export
from gradbox.cli.fit import fit
from gradbox.cli.foreground import foreground
from gradbox.cli.labels import labels
from gradbox.cli.list import list_
from gradbox.cli.locate import locate
from gradbox.cli.maps import maps
from gradbox.cli.next import next_
from gradbox.cli.scenes import scenes
from gradbox.cli.serve import serve
from gradbox.cli.train import train
from gradbox.cli.view import view
from gradbox.cli.web import web

app = typer.Typer(
    help="Boxes without box labels: any image classifier, your images, boxes and an honest score.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool | None) -> None:
    if asked:
        say(f"gradbox {version('gradbox')}")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool | None,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_version, is_eager=True
        ),
    ] = None,
) -> None:
    pass


_COMMANDS = (
    locate,
    export,
    view,
    again,
    next_,
    maps,
    evaluate,
    compare,
    fit,
    list_,
    bench,
    train,
    scenes,
    demo,
    labels,
    web,
)
for command in _COMMANDS:
    app.command(name=command.__name__.strip("_"))(command)
app.add_typer(foreground)
app.add_typer(serve)
app.add_typer(doctor)
