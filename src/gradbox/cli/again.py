"""`gradbox again`: a run repeated as its `run.json` says."""

import shlex
from contextlib import chdir
from pathlib import Path
from typing import Annotated, Any

import typer

from gradbox.cli import options as opt
from gradbox.cli.asked import typed, without
from gradbox.cli.console import hint, say, warn
from gradbox.errors import UsageError


def again(
    run: Annotated[
        Path,
        typer.Argument(help="The folder of a finished run.", metavar="RUN", show_default=False),
    ],
    out: opt.Out,
) -> None:
    """Repeat a run in another folder, and say whether the same was found.

    `gradbox again boxes --out boxes2`

    The words of the call stand in RUN/run.json, under `asked`; they are read in the folder where
    they were typed, but for --save-maps: the maps of RUN stay as they are. What is not as it was,
    such as images, weights or versions, is named.
    """
    from gradbox.cli.app import app
    from gradbox.results.finished import run_facts
    from gradbox.runs.repetition import repetitions

    words, folder = _asked(run_facts(run).get("asked"), run)
    run, out = run.absolute(), out.absolute()
    if run.resolve() == out.resolve():
        raise UsageError(f"--out {out} is the run itself: give another folder")
    command, *rest = without("--save-maps", words)
    with chdir(folder), typed([command, "--out", str(out), *rest]) as call:
        hint(f"in {folder}: gradbox {shlex.join(call)}")
        code = app(call, standalone_mode=False)
    for name, one in repetitions(run, out).items():
        n_same = one.n_images - len(one.different)
        say(f"{name}: the same in {n_same} of {one.n_images} images")
        if one.different:
            reasons = "; ".join(one.changed) or "nothing that run.json knows has changed"
            warn(f"{name}: not the same, such as {one.different[0]}: {reasons}")
    raise typer.Exit(code or 0)


def _asked(asked: Any, run: Path) -> tuple[list[str], Path]:
    """The words of a call, and the folder where they were typed."""
    if not asked:
        raise UsageError(
            f"{run} was made from Python, or by a version that did not keep the command: its call "
            "stands in run.json, and only who made it can repeat it"
        )
    try:
        words, folder = [str(word) for word in asked["words"]], Path(asked["folder"])
        known = words[0] in ("locate", "evaluate", "compare")
    except (KeyError, TypeError, IndexError):
        known = False
    if not known:
        raise UsageError(f"{run}/run.json is damaged: `asked` holds no command of gradbox")
    if not folder.is_dir():
        raise UsageError(f"{run} was made in {folder}, which is not there any more: make it again")
    return words, folder
