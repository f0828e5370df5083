"""The options that say where Label Studio is and what lets one in."""

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        "--label-studio",
        help="Where Label Studio is, for the images that it serves itself.",
        metavar="URL",
        envvar="LABEL_STUDIO_URL",
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="A personal access token or a legacy token of a user of Label Studio; better given in"
        " the environment, where others on this machine do not see it.",
        metavar="TEXT",
        envvar="LABEL_STUDIO_API_KEY",
        show_default=False,
    ),
]
User = Annotated[
    str | None,
    typer.Option(
        "--user",
        help="The user name of the backend's basic authentication, with --password.",
        metavar="NAME",
    ),
]
Password = Annotated[
    str | None,
    typer.Option(
        "--password",
        help="Its password; better given in the environment.",
        metavar="TEXT",
        envvar="GRADBOX_PASSWORD",
        show_default=False,
    ),
]
