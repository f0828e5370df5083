"""A web application on a port of this machine, until it is stopped."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gradbox.errors import UsageError

_MOST_REQUESTS = 100
"""Requests at one time; Label Studio makes a few."""


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """A socket with that address, for the block; who asks is turned away until it listens.

    Raises:
        UsageError: the address is not this machine's, or the port is in use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _refusing(host, port):
            found.bind((host, port))
        yield found


def address_of(at: socket.socket) -> str:
    """The address of what listens there."""
    host, port = at.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: Any, at: socket.socket, when_ready: Callable[[], None]) -> None:
    """Answer until Ctrl-C or SIGTERM; requests that run are finished first.

    Raises:
        UsageError: somebody else listens there meanwhile.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        limit_concurrency=_MOST_REQUESTS,
        timeout_graceful_shutdown=5,
        server_header=False,
    )
    with _refusing(*at.getsockname()[:2]):
        at.listen()
    when_ready()
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[at])


@contextmanager
def _refusing(host: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port} ({error.strerror or error}): give another "
            "--listen or --port"
        ) from None
