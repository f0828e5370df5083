"""`gradbox bench`: how fast this machine is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gradbox.cli import model_options as mo
from gradbox.cli import options as opt
from gradbox.cli.console import say, show_bench, track
from gradbox.cli.grouped import grouped


@grouped
def bench(
    model: Annotated[
        str | None, typer.Argument(help="A classifier, as of --model of `locate`.", metavar="MODEL")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Images such as yours; without it the photographs that are built in.",
            metavar="FOLDER",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="A method to time, as of `locate`; may be given again. Without it: `auto` and"
            " `dam`.",
            metavar="SPEC",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="How long it may take, about.", min=0.1, metavar="S")
    ] = 60.0,
    *,
    loading: mo.ModelOptions,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """Measure on this machine: images a second, the best settings, hours for a million images.

    `gradbox bench torchvision/resnet50 --data photos/ --method gradcam`

    Decoding, the bare network and each method with its boxes are timed one after the other, from a
    few images used again and again. Decoding depends on the size of your files: give --data. What
    else runs on the machine counts, so look at the slowest and the fastest round, too.
    """
    from gradbox.demo.photographs import PHOTOGRAPHS
    from gradbox.images.find import find_images
    from gradbox.runs import bench as bn

    for one in method or ():
        opt.check_parts(one, None)
    classifier = loading.classifier(model, methods=method or bn.METHODS)
    samples = find_images([data]) if data else [one.sample for one in PHOTOGRAPHS if one.is_here]
    found = bn.bench(classifier, samples, methods=method, seconds=seconds, track=track)
    if as_json:
        say(json.dumps({**asdict(found), "hours_for_a_million": found.hours}))
    else:
        show_bench(found)
        say(f"best: --batch-size {found.batch_size} --workers {found.workers}")
