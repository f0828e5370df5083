"""Label Studio itself, on SQLite in a folder of its own, and its API as a browser uses it."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

USER, PASSWORD = "somebody@example.com", "correct-horse-9"
LEGACY_KEY = "0123456789abcdef0123456789abcdef01234567"
_QUIET = {
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class LabelStudio:
    """A running Label Studio, and a session of its user."""

    url: str
    folder: Path
    cookies: CookieJar = field(default_factory=CookieJar)

    def __post_init__(self) -> None:
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies),
            urllib.request.ProxyHandler({}),
        )

    def cookie(self, name: str) -> str:
        return next((one.value or "" for one in self.cookies if one.name == name), "")

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON, or text, of one request."""
        data = body if isinstance(body, bytes) else None
        if body is not None and data is None:
            data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        request.add_header("X-CSRFToken", self.cookie("csrftoken"))
        request.add_header("Referer", self.url)
        try:
            with self.opener.open(request, timeout=180) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text.decode(errors="replace")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a request that has to succeed."""
        status, said = self.call(method, path, body)
        assert status < 300, (method, path, status, said)
        return said

    def login(self) -> None:
        self.call("GET", "/user/login/")
        form = {"csrfmiddlewaretoken": self.cookie("csrftoken"), "email": USER}
        body = urlencode({**form, "password": PASSWORD}).encode()
        kind = "application/x-www-form-urlencoded"
        self.call("POST", "/user/login/?next=/", body, **{"Content-Type": kind})
        assert self.cookie("sessionid"), "the login failed"

    def personal_token(self) -> str:
        """A personal access token, as its page makes one."""
        return str(self.ask("POST", "/api/token/", {})["token"])

    def legacy_tokens(self, enabled: bool) -> None:
        body = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": enabled}
        self.ask("POST", "/api/jwt/settings", body)

    def project(self, config: str, title: str = "boxes") -> int:
        return int(
            self.ask("POST", "/api/projects/", {"title": title, "label_config": config})["id"]
        )

    def upload(self, project: int, images: Mapping[str, Path]) -> list[dict[str, Any]]:
        """Import files as the page does, one task each; the project's tasks."""
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="f{i}"; filename="{name}"\r\n'
            "Content-Type: image/png\r\n\r\n".encode()
            + path.read_bytes()
            + b"\r\n"
            for i, (name, path) in enumerate(images.items())
        ]
        body = b"".join(parts) + f"--{mark}--\r\n".encode()
        kind = f"multipart/form-data; boundary={mark}"
        path = f"/api/projects/{project}/import"
        status, said = self.call("POST", path, body, **{"Content-Type": kind})
        assert status < 300, said
        return self.tasks(project)

    def tasks(self, project: int) -> list[dict[str, Any]]:
        """All tasks with their predictions and annotations, by id."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            path = f"/api/tasks?project={project}&page={page}&page_size=500&fields=all"
            status, said = self.call("GET", path)
            if status != 200 or not said["tasks"]:
                return sorted(found, key=lambda task: task["id"])
            found += said["tasks"]
            if len(found) >= said["total"]:
                return sorted(found, key=lambda task: task["id"])
            page += 1

    def connect(self, project: int, backend: str, **more: Any) -> tuple[int, Any]:
        body = {"project": project, "url": backend, "title": "gradbox", **more}
        return self.call("POST", "/api/ml/", body)

    def retrieve(self, project: int, tasks: list[int]) -> Any:
        """The action `Retrieve predictions` on these tasks, in one call."""
        chosen = {"selectedItems": {"all": False, "included": tasks}, "project": str(project)}
        return self.ask(
            "POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", chosen
        )

    def predictions(self, task: int) -> list[dict[str, Any]]:
        return list(self.ask("GET", f"/api/predictions/?task={task}"))


@contextmanager
def running(program: Path, folder: Path, **settings: str) -> Iterator[LabelStudio]:
    """Label Studio with these settings in its environment, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "DJANGO_DB": "sqlite",
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        **_QUIET,
        **settings,
    }
    words = [program, "start", "--no-browser", "--port", port, "--internal-host", "127.0.0.1"]
    words += ["--username", USER, "--password", PASSWORD, "--user-token", LEGACY_KEY]
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            [*map(str, words), "--data-dir", str(folder)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            made = LabelStudio(f"http://127.0.0.1:{port}", folder)
            wait_for(made.url + "/health", process, folder / "log.txt")
            made.login()
            yield made
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: "subprocess.Popen[Any]", log: Path, seconds: float = 300) -> None:
    """Wait until something answers there."""
    until = time.monotonic() + seconds
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            opener.open(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer: {log.read_text()[-2000:]}")
