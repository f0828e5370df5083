"""`gradbox export`: a finished run in the formats of other tools."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli.console import say
from gradbox.errors import UsageError


def export(
    run: Annotated[
        Path,
        typer.Argument(
            help="The --out of a finished run, also s3://BUCKET/FOLDER or gs://BUCKET/FOLDER.",
            metavar="RUN",
            show_default=False,
        ),
    ],
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="With commas: jsonl, csv, coco, cvat, yolo, voc, labelstudio, openimages, crops,"
            " masks, or path/file.py:NAME.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the files; by default RUN.", metavar="DIR"),
    ] = None,
) -> None:
    """Write a run's boxes for other tools, read image by image: a run may have any size.

    `gradbox export boxes --format coco,csv`

    `locate --format` writes the same at the end of a run. `jsonl` makes the file
    `predictions.jsonl` of a run in shards.
    """
    from gradbox.results.finished import open_finished
    from gradbox.runs.exporting import export as export_run
    from gradbox.runs.exporting import to_formats
    from gradbox.stores import open_store

    names = to_formats(formats)
    if not names:
        raise UsageError("nothing to export: give --format csv or another")
    place = run if out is None else out
    with open_store(place).working_folder() as folder:
        for path in export_run(open_finished(run), names, folder):
            say(f"{place / path.relative_to(folder)}")
