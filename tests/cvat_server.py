"""As much of CVAT's REST API as its own client needs for `task auto-annotate`, with one task."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

VERSION = "2.80.0"
TASK = 7
FIRST_LABEL = 100


@dataclass
class CvatServer:
    """Images and labels of the task, and what its client has sent."""

    images: Mapping[str, Image.Image]
    labels: Sequence[tuple[str, str]]
    """Names and types."""
    url: str = ""
    sent: list[dict[str, Any]] = field(default_factory=list)

    @property
    def shapes(self) -> list[dict[str, Any]]:
        """The shapes of all that was sent."""
        return [shape for one in self.sent for shape in one["shapes"]]

    def answer(self, path: str) -> Any:
        """What a GET is answered with: JSON, or the bytes of the images."""
        return {
            "/api/server/about": {
                **dict.fromkeys(("name", "description", "logo_url", "subtitle"), ""),
                "version": VERSION,
            },
            f"/api/tasks/{TASK}": {
                "id": TASK,
                "size": len(self.images),
                "data_chunk_size": len(self.images),
                "data_original_chunk_type": "imageset",
                "updated_date": _NOW,
                "organization": None,
                "jobs": {"count": 1, "completed": 0, "validation": 0, "url": ""},
                "labels": {"url": f"{self.url}/api/labels?task_id={TASK}"},
            },
            "/api/labels": {
                "count": len(self.labels),
                "next": None,
                "previous": None,
                "results": [
                    {"id": FIRST_LABEL + i, "name": name, "type": kind}
                    | {"attributes": [], "sublabels": []}
                    for i, (name, kind) in enumerate(self.labels)
                ],
            },
            f"/api/tasks/{TASK}/data/meta": {
                "size": len(self.images),
                "chunks_updated_date": _NOW,
                "deleted_frames": [],
                "frames": [
                    {"name": name, "width": image.width, "height": image.height, "related_files": 0}
                    for name, image in self.images.items()
                ],
            },
            f"/api/tasks/{TASK}/data": self._chunk(),
        }[path]

    def _chunk(self) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for i, image in enumerate(self.images.values()):
                coded = io.BytesIO()
                image.save(coded, "PNG")
                archive.writestr(f"{i:06}.png", coded.getvalue())
        return packed.getvalue()


_NOW = "2026-01-01T00:00:00.000000Z"


@contextmanager
def serving(server: CvatServer) -> Iterator[CvatServer]:
    """The server at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                self._answer(server.answer(urlsplit(self.path).path.rstrip("/")))
            except KeyError:
                self.send_error(404, self.path)

        def do_POST(self) -> None:
            self._answer({"key": "key"}, "sessionid=1", "csrftoken=1")

        def do_PATCH(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.sent.append(json.loads(body))
            self._answer({"version": 0, "tags": [], "shapes": [], "tracks": []})

        def _answer(self, content: Any, *cookies: str) -> None:
            is_json = not isinstance(content, bytes)
            body = json.dumps(content).encode() if is_json else content
            self.send_response(200)
            for cookie in cookies:
                self.send_header("Set-Cookie", cookie)
            kind = "application/vnd.cvat+json" if is_json else "application/zip"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()
