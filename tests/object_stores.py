"""Object stores of one's own: moto's S3 and an emulator of Google's, each in a process."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

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
    with _served(_GOOGLE, folder, lambda url: _ask(f"{url}/storage/v1/b/{BUCKET}")) as url:
        yield {"STORAGE_EMULATOR_HOST": url}


def _made(url: str) -> None:
    _ask(f"{url}/{BUCKET}", "PUT")


def _ask(url: str, how: str = "GET") -> bytes:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"}
    with urlopen(Request(url, method=how, headers=signed), timeout=5) as answer:
        return answer.read()


@contextmanager
def _served(program: str, folder: Path, try_it: Callable[[str], object]) -> Iterator[str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        words = [sys.executable, "-c", program, str(port)]
        server = subprocess.Popen(words, stdout=log, stderr=log, env=dict(os.environ))
    try:
        until = time.monotonic() + 60
        while True:
            try:
                try_it(url)
                break
            except (URLError, HTTPError, OSError):
                if server.poll() is not None or time.monotonic() > until:
                    raise AssertionError((folder / "server.log").read_text()) from None
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
