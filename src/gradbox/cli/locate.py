"""`gradbox locate`: boxes of images and folders."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.class_options import ClassOptions
from gradbox.cli.console import out_console, show_classes, steps
from gradbox.cli.engine_options import EngineOptions
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import ForegroundOptions, TileOptions
from gradbox.errors import UsageError

if TYPE_CHECKING:
    from gradbox.localization import Sample


@grouped
def locate(
    images: Annotated[
        list[str],
        typer.Argument(
            help="Images, folders and .tar files of images, at paths or at s3:// and gs:// URLs;"
            " list:FILE takes those that a text, CSV or parquet file lists; and clips."
        ),
    ],
    model: mo.Model = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder for the results, also s3://BUCKET/FOLDER or gs://BUCKET/FOLDER; without it"
            " they are shown only.",
            metavar="DIR",
        ),
    ] = None,
    method: opt.MethodSpec = "auto",
    box: opt.BoxSpec = "auto",
    min_score: opt.MinScore = None,
    proposals: opt.Proposals = None,
    every: Annotated[
        int | None,
        typer.Option(help="Of a clip: look at each so-many-th frame.", metavar="N", min=1),
    ] = None,
    fps: Annotated[
        float | None,
        typer.Option(
            help="Of a clip: look at so many frames a second, 5 unless said.", metavar="X"
        ),
    ] = None,
    *,
    classes: ClassOptions,
    loading: mo.ModelOptions,
    boxed: ForegroundOptions,
    tiles: TileOptions,
    how: opt.FormatOptions,
    engine: EngineOptions,
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            help="Without --out: also draw pictures into a temporary folder, as is done for one"
            " image in a terminal.",
        ),
    ] = False,
) -> None:
    """Find objects in images: a row for each box, or with --out boxes in DIR/predictions.jsonl.

    `gradbox locate cat.jpg` or `gradbox locate photos/ --out boxes --pictures`

    The class is the recognized one, or of a network that judges each class for itself every one
    that is there, unless --label, --top, --near-top or --above say otherwise. The same call again
    goes on where an interrupted one stopped. Of a clip, such as an MP4, frames are looked at; DIR
    then has clips.csv with the boxes linked over time, and with --pictures clips with boxes.
    """
    from gradbox import pipeline
    from gradbox.cli.preview import preview
    from gradbox.images.clips import Every, is_clip, with_frames
    from gradbox.images.listing import list_images
    from gradbox.methods import is_calibrated, to_method
    from gradbox.runs.plan import settled

    chosen = Every(nth=every, per_second=fps)
    samples: Sequence[Sample] = list_images(images, apart_from=out)
    next(iter(samples))  # complains where there is none, before a model is loaded
    if any(map(is_clip, images)):
        samples = list(with_frames(samples, chosen))
    method = tiles.on_tiles(boxed.with_foreground(method))
    asked: Any = {
        "method": method,
        "box": box,
        "labels": classes.labels,
        "proposals": proposals,
        "selection": classes.selection(),
        "min_score": min_score,
    }
    opt.check_parts(method, box, min_score)
    if out is not None:
        if show:
            raise UsageError("--show is for a call without --out: --pictures draws into DIR")
        running = how.running(**engine.running())
        classifier = loading.classifier(model, methods=[method])
        report = pipeline.locate(samples, classifier, out, running=running, **asked)
        how.close(report, lambda: show_classes(report))
        return
    how.refuse_without_folder()
    drawn = show or (len(samples) == 1 and out_console.is_terminal)
    classifier = settled(loading.classifier(model, methods=[method]), lambda: samples)
    found = pipeline.localize(
        samples,
        classifier,
        batch_size=how.batch_size,
        workers=how.threads,
        details=drawn,
        **asked,
    )
    with steps():
        preview(
            samples,
            found,
            classifier,
            drawn=drawn,
            as_json=how.as_json,
            is_calibrated=is_calibrated(to_method(method), box),
        )
