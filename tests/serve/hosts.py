"""Web servers on free ports: one that answers as it is told, and gradbox's own."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn

from gradbox.serve.server import address_of, bound

Answers = Callable[[BaseHTTPRequestHandler], None]


def give(
    handler: BaseHTTPRequestHandler, body: bytes = b"", status: int = 200, **headers: str
) -> None:
    """Answer a request."""
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def host(answer: Answers) -> Iterator[tuple[str, list[tuple[str, Mapping[str, str]]]]]:
    """The address of a server on 127.0.0.1, and the paths and headers of what it was asked."""
    asked: list[tuple[str, Mapping[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def answering(app: Any) -> Iterator[str]:
    """The address of an application that runs as `gradbox serve` runs it, in a thread."""
    with bound("127.0.0.1", 0) as at:
        at.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", server_header=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [at]})
        thread.start()
        try:
            yield address_of(at)
        finally:
            server.should_exit = True
            thread.join()


def call(url: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of a GET, or of a POST where there is a body."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    kind = {} if data is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data, {**kind, **headers})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")
