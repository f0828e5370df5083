"""Object stores of one's own: moto's S3 and an emulator of Google's, each in a process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

BUCKET = "photos"
_MOTO = """
import sys
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
"""
_GOOGLE = """
import http.server, sys
from gcp_storage_emulator import server
server.server.HTTPServer = http.server.ThreadingHTTPServer  # one that answers two at a time
server.create_server("127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket="photos").run()
"""


@contextmanager
def s3(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which `s3://photos` is a bucket of moto's server."""
    with _served(_MOTO, folder, _made) as url:
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }


@contextmanager
def gs(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which `gs://photos` is a bucket of the emulator."""
    with _served(_GOOGLE, folder, lambda port: _ask(port, "GET", f"/storage/v1/b/{BUCKET}")) as url:
        yield {"STORAGE_EMULATOR_HOST": url}


def _made(port: int) -> None:
    _ask(port, "PUT", f"/{BUCKET}")


def _ask(port: int, how: str, path: str) -> None:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"}
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(how, path, headers=signed)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()


@contextmanager
def _served(program: str, folder: Path, try_it: Callable[[int], None]) -> Iterator[str]:
    port = free_port()
    with (folder / "server.log").open("wb") as log:
        words = [sys.executable, "-c", program, str(port)]
        server = subprocess.Popen(words, stdout=log, stderr=log, env=dict(os.environ))
    try:
        until = time.monotonic() + 60
        while True:
            try:
                try_it(port)
                break
            except (OSError, HTTPException):
                if server.poll() is not None or time.monotonic() > until:
                    raise AssertionError((folder / "server.log").read_text()) from None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
