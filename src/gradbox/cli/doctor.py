"""`gradbox doctor`: what is wrong between gradbox and another program."""

from typing import Annotated

import typer

from gradbox.cli import label_studio_options as ls
from gradbox.cli.console import complain, say

doctor = typer.Typer(
    name="doctor",
    help="Say what is wrong between gradbox and another program: Label Studio.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@doctor.callback()
def _programs() -> None:
    """Keeps `labelstudio` a word of the command."""


@doctor.command("labelstudio")
def labelstudio(
    url: Annotated[str, typer.Argument(help="Where Label Studio is.", metavar="URL")],
    key: ls.Key = None,
    project: Annotated[
        int | None, typer.Option(help="The number of one project; without it, all.", metavar="N")
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="The address of `gradbox serve`, as Label Studio will be given it, where no"
            " project has it yet.",
            metavar="URL",
        ),
    ] = None,
    user: ls.User = None,
    password: ls.Password = None,
) -> None:
    """Look for the usual faults between Label Studio and `gradbox serve`, a line each.

    `gradbox doctor labelstudio http://localhost:8080 --backend http://localhost:9090`

    Nothing is changed. The exit code is 1 where something is wrong.
    """
    from gradbox.serve.building import check_is_installed

    check_is_installed()
    from gradbox.serve.doctor import Doctor
    from gradbox.serve.login import login

    n_wrong = 0
    for finding in Doctor.of(url, key, backend, login(user, password)).findings(project):
        if finding.is_well:
            say(f"well: {finding.text}")
        else:
            n_wrong += 1
            complain(finding.text)
    if n_wrong:
        raise typer.Exit(1)
