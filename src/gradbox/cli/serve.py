"""`gradbox serve`: boxes for those who ask over the network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from gradbox.cli import label_studio_options as ls
from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.class_options import ClassOptions
from gradbox.cli.console import hint, say, warn
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import ForegroundOptions, TileOptions

serve = typer.Typer(
    name="serve",
    help="Answer other programs with boxes: Label Studio.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@serve.callback()
def _programs() -> None:
    """Keeps `labelstudio` a word of the command."""


@serve.command("labelstudio")
@grouped
def labelstudio(
    model: mo.Model = None,
    method: opt.MethodSpec = "auto",
    box: opt.BoxSpec = "auto",
    min_score: opt.MinScore = None,
    *,
    classes: ClassOptions,
    loading: mo.ModelOptions,
    boxed: ForegroundOptions,
    tiles: TileOptions,
    masks: Annotated[
        bool,
        typer.Option(
            "--masks",
            help="Also make a mask of the main object, for BrushLabels or PolygonLabels.",
        ),
    ] = False,
    label_studio: ls.Url = None,
    key: ls.Key = None,
    images_from: Annotated[
        list[str] | None,
        typer.Option(
            help="Another host that images may come from; may be given again.", metavar="URL"
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the images, as Label Studio's LOCAL_FILES_DOCUMENT_ROOT: they are"
            " read from it instead of over the network.",
            metavar="DIR",
        ),
    ] = None,
    labels_map: Annotated[
        Path | None,
        typer.Option(
            help="A table with the columns class,label: how classes are called in Label Studio; the"
            " class * is all others.",
            metavar="FILE.csv",
        ),
    ] = None,
    listen: Annotated[
        str, typer.Option(help="The address of this machine to listen on; 0.0.0.0 is all.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 9090,
    user: ls.User = None,
    password: ls.Password = None,
    answer_within: Annotated[
        float,
        typer.Option(
            help="Answer a call within this time; Label Studio waits for 100 s. What is not done"
            " by then goes on, for the next call.",
            metavar="SECONDS",
            min=1,
        ),
    ] = 80,
    batch_size: Annotated[int, typer.Option(help="Images in one pass.", min=1)] = 8,
) -> None:
    """Answer Label Studio as its ML backend, until Ctrl-C.

    `gradbox serve labelstudio --label-studio http://localhost:8080 --method auto`

    then add http://localhost:9090 as a model in the project's settings. `gradbox labels` prints the
    labelling configuration, `gradbox doctor labelstudio` says what is wrong.
    """
    from gradbox.serve.building import backend, check_is_installed
    from gradbox.serve.images import places
    from gradbox.serve.labels import read_labels
    from gradbox.serve.login import login

    check_is_installed()
    from gradbox.serve.server import address_of, bound, run

    method = tiles.on_tiles(boxed.with_foreground(method))
    opt.check_parts(method, box, min_score)
    asked: dict[str, Any] = {
        "places": places(label_studio, key, images_from or [], root),
        "labels": read_labels(labels_map),
        "login": login(user, password),
    }
    with bound(listen, port) as socket:
        if user is None and not listen.startswith("127."):
            warn(f"{listen} answers anybody who reaches it: --user asks for a password")
        hint("loading the model")
        answering = backend(
            loading.classifier(model, methods=[method]),
            method=method,
            box=box,
            classes=classes.labels,
            selection=classes.selection(),
            min_score=min_score,
            masks=masks,
            seconds=answer_within,
            batch_size=batch_size,
            log=say,
            **asked,
        )
        with answering.predictor:
            line = f"{answering.model_version} answers at {address_of(socket)}"
            run(answering.app(), socket, lambda: say(line))
