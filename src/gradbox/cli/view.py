"""`gradbox view`: a run as one page to look through."""

from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli.console import say, track, warn
from gradbox.errors import UsageError


def view(
    run: Annotated[
        Path,
        typer.Argument(help="The folder of a finished run.", metavar="RUN", show_default=False),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The page; by default RUN/view.html.", metavar="FILE.html"),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Where the images are now, if they have moved.", metavar="DIR"),
    ] = None,
    maps: Annotated[
        Path | None,
        typer.Option(
            help="Saved heat maps, to be seen under the mouse; by default those that the run saved"
            " by --save-maps.",
            metavar="DIR",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Show a random sample of this many images.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --limit.")] = 0,
    *,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Look through a run: one page of thumbnails with boxes, by class, score and failure.

    `gradbox locate photos/ --out boxes --save-maps maps`, then `gradbox view boxes --open`

    The page needs no server and nothing from elsewhere. Thumbnails of more than 8 MB in all lie in
    a folder beside it, FILE_files; move both together.
    """
    from gradbox.reports.view import write_view
    from gradbox.stores import address, is_url

    if out is None and is_url(address(run)):
        raise UsageError(f"{address(run)}: the page is written on this machine: --out FILE.html")
    page = run / "view.html" if out is None else out
    if page.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--out {page}: a page ends in .html; rename it")
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images} is no folder: give the one that holds the images")
    done = write_view(run, page, images=images, maps=maps, limit=limit, seed=seed, track=track)
    if done.problems:
        image, reason = next(iter(done.problems.items()))
        warn(
            f"{len(done.problems)} of {done.n_images} images have no thumbnail, such as {image}: "
            f"{reason}; --images DIR says where they are"
        )
    beside = "" if done.files is None else f", thumbnails in {done.files}"
    say(f"{done.n_images} images: {done.page}{beside}")
    if open_ and typer.launch(page.resolve().as_uri()) != 0:
        warn(f"no browser could be started: open {page.resolve().as_uri()}")
