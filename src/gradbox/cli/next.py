"""`gradbox next`: which images of a run to box next."""

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli.console import hint, say, track, warn
from gradbox.errors import UsageError


def next_(
    run: Annotated[
        Path,
        typer.Argument(help="The folder of a finished run.", metavar="RUN", show_default=False),
    ],
    count: Annotated[int, typer.Option(help="How many images.", min=1)] = 50,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Write the list here: text, or with the suffix .csv a table path,trust.",
            metavar="FILE",
        ),
    ] = None,
    boxed: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out images that have boxes in this data set, as in"
            " labelstudio:IMAGES@FILE.json; may be given again.",
            metavar="DATASET",
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Where the images are now, if they have moved.", metavar="DIR"),
    ] = None,
) -> None:
    """Say which images of a run to box next: uncertain ones, and different from each other.

    `gradbox next boxes --count 50 --out next.txt`, then `gradbox locate list:next.txt ...`

    A line for each image, the first one first. Where scores are probabilities (the method auto)
    the boxes with the lowest ones are uncertain, else the least probable classes.
    """
    from gradbox.cli.options import to_dataset
    from gradbox.files import write_text
    from gradbox.runs.choosing import choose_next

    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images} is no folder: give the one that holds the images")
    known = {
        sample.image_id
        for text in boxed or ()
        for sample in to_dataset(text).samples
        if len(sample.boxes)
    }
    found = choose_next(run, count, boxed=known, images=images, track=track)
    if found.problems:
        image, reason = next(iter(found.problems.items()))
        warn(f"{len(found.problems)} images are passed over, such as {image}: {reason}")
    if known:
        hint(f"{found.n_boxed} images of the run have boxes already")
    if len(found.chosen) < count:
        hint(f"no more than {len(found.chosen)} images are left")
    if out is None:
        for one in found.chosen:
            say(one.source)
        return
    if out.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        table = csv.writer(text)
        table.writerow(("path", "trust"))
        table.writerows((one.source, f"{one.trust:.6f}") for one in found.chosen)
        write_text(out, text.getvalue())
    else:
        write_text(out, "".join(f"{one.source}\n" for one in found.chosen))
    hint(f"{len(found.chosen)} images: {out}")
