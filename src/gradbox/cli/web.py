"""`gradbox web`: a page in the browser."""

import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import hint, say
from gradbox.cli.grouped import grouped
from gradbox.cli.method_options import ForegroundOptions


@grouped
def web(
    model: mo.Model = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method to offer, as of `locate`; may be given again. Without it `auto` and"
            " those of `gradbox maps`.",
            metavar="SPEC",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Folder for the boxes that are drawn, their images and what is fitted; made when"
            " the first image comes, gone on with when it is there.",
            metavar="DIR",
        ),
    ] = Path("gradbox-web"),
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of 127.0.0.1; without it the first free one from 7860 on.",
            min=1,
            max=65535,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    max_mb: Annotated[int, typer.Option(help="Megabytes of an image file.", min=1)] = 50,
    max_megapixels: Annotated[int, typer.Option(help="Millions of pixels.", min=1)] = 50,
    *,
    boxed: ForegroundOptions,
    loading: mo.ModelOptions,
) -> None:
    """Look at images in the browser, two methods side by side; draw boxes and fit `auto`.

    `gradbox web --open` or `gradbox web --model card.toml --method gradcam --method dam`

    The page is on this machine alone, and sends nothing anywhere. Ctrl-C ends it.
    """
    from gradbox.web.drawn import Drawn
    from gradbox.web.explorer import Explorer
    from gradbox.web.server import check_installed, served
    from gradbox.web.uploads import Limits

    check_installed()
    auto = boxed.with_foreground("auto")
    for one in method or ():
        opt.check_parts(one, None)
    drawn = Drawn(out)
    classifier = loading.classifier(model, methods=method or [auto])
    limits = Limits(megabytes=max_mb, megapixels=max_megapixels)
    given = {one: one for one in method} if method else None
    explorer = Explorer.of(classifier, given, limits, auto=auto)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended, it leaves nothing behind
    with drawn, served(explorer, drawn, port=port) as address:
        say(f"open {address} ; Ctrl-C ends it")
        hint(f"what is drawn and fitted goes to {out}")
        if show:
            typer.launch(address)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            say("ended")
