"""The protocol by which Label Studio asks a model: what it calls an ML backend."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gradbox.errors import ImageError, UsageError
from gradbox.labelstudio.configuration import Configuration, Shape, parse
from gradbox.labelstudio.regions import Shapes, prediction
from gradbox.serve.images import address_in
from gradbox.serve.labels import Labels
from gradbox.serve.login import Login
from gradbox.serve.predictor import Made, Predictor

MOST_BYTES = 200_000_000
"""Bytes of a request: some thousand tasks with all that is known of them."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Answers Label Studio.

    `about` is what `gradbox doctor` asks for, and `login` who may ask, None for everybody. Every
    call of `/predict` is answered within `seconds`; `log` is told one line of it.
    """

    predictor: Predictor
    labels: Labels
    model_version: str
    about: Mapping[str, Any]
    seconds: float
    masks: bool = False
    login: Login | None = None
    log: Callable[[str], None] = print
    _warned: set[str] = field(default_factory=set, repr=False)

    def app(self) -> Starlette:
        """The application: one route for each thing that Label Studio asks."""
        routes = [
            Route("/", self._guarded(self._health)),
            Route("/health", self._guarded(self._health)),
            Route("/setup", self._guarded(self._setup), methods=["POST"]),
            Route("/versions", self._guarded(self._versions)),
            Route("/predict", self._guarded(self._predict), methods=["POST"]),
            Route("/about", self._guarded(self._about)),
            Route("/webhook", _webhook, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def _guarded(
        self, answer: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if self.login is not None and not self.login.lets_in(given):
                headers = {"WWW-Authenticate": 'Basic realm="gradbox"'}
                return JSONResponse({"error": "user or password is wrong"}, 401, headers)
            try:
                return await answer(request)
            except UsageError as error:
                self.log(f"{request.url.path}: {error}")
                return JSONResponse({"error": str(error)}, 400)

        return guarded

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "UP", "model_version": self.model_version})

    async def _setup(self, request: Request) -> Response:
        said = await _json(request)
        self._configuration(said.get("schema"))
        return JSONResponse({"model_version": self.model_version})

    async def _versions(self, _: Request) -> Response:
        return JSONResponse({"versions": [self.model_version]})

    async def _about(self, _: Request) -> Response:
        return JSONResponse({"model_version": self.model_version, **self.about})

    async def _predict(self, request: Request) -> Response:
        started = monotonic()
        said = await _json(request)
        tasks = said.get("tasks")
        if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
            raise UsageError("the call has no list of tasks")
        configuration = self._configuration(said.get("label_config"))
        asked = _Asked.of(tasks, configuration.key)
        waiting = self.predictor.ask(asked.addresses)
        await _until(started + self.seconds, waiting)
        entries = await run_in_threadpool(self._entries, asked, waiting, configuration)
        self._report(tasks, entries, monotonic() - started)
        return JSONResponse({"results": entries, "model_version": self.model_version})

    def _configuration(self, text: Any) -> Configuration:
        if not isinstance(text, str):
            raise UsageError("the call has no labelling configuration")
        found = parse(text)
        drawn: set[Shape] = {"brush", "polygon"} if not self.masks else set()
        if found.controls.keys() <= drawn:
            raise UsageError(
                "the labelling configuration has masks only, and this server makes none: start it "
                "with --masks"
            )
        return found

    def _entries(
        self, asked: "_Asked", waiting: Sequence["Future[Made]"], configuration: Configuration
    ) -> list[dict[str, Any]]:
        made = iter(waiting)
        return [
            self._entry(problem or _now(next(made)), configuration) for problem in asked.problems
        ]

    def _entry(self, made: Made | None, configuration: Configuration) -> dict[str, Any]:
        """One task's; without `result`, Label Studio stores nothing and may ask again."""
        if made is None:
            return self._nothing("not done in time: ask again")
        if isinstance(made, ImageError):
            return self._nothing(str(made))
        found = prediction(made, configuration, self.labels.label_of, self.model_version)
        self._warn_of_unlabelled(made, configuration)
        if len(made.boxes) and not found["result"]:
            return self._nothing(f"the labelling configuration has no label {made.names[0]!r}")
        return found

    def _nothing(self, why: str) -> dict[str, Any]:
        return {"model_version": self.model_version, "score": 0.0, "error": why}

    def _warn_of_unlabelled(self, made: Shapes, configuration: Configuration) -> None:
        for name in made.names:
            labels = (self.labels.label_of(name, one) for one in configuration.controls.values())
            if name not in self._warned and not any(labels):
                self._warned.add(name)
                self.log(
                    f"the labelling configuration has no label {name!r}: its boxes are left out"
                )

    def _report(
        self, tasks: Sequence[Any], entries: Sequence[Mapping[str, Any]], seconds: float
    ) -> None:
        """One line of what came of a call, with the first task that failed."""
        failed = [
            (task.get("id"), e["error"])
            for task, e in zip(tasks, entries, strict=True)
            if "error" in e
        ]
        line = f"{len(tasks) - len(failed)} of {len(tasks)} tasks in {seconds:.1f} s"
        self.log(f"{line}; task {failed[0][0]}: {failed[0][1]}" if failed else line)


@dataclass(frozen=True)
class _Asked:
    """Of each task why it has no image, None where it has one, and the addresses of these."""

    problems: Sequence[ImageError | None]
    addresses: Sequence[str]

    @classmethod
    def of(cls, tasks: Iterable[Mapping[str, Any]], key: str) -> "_Asked":
        problems: list[ImageError | None] = []
        addresses = []
        for task in tasks:
            address = address_in(task.get("data"), key, task.get("id"))
            if address is None:
                problems.append(ImageError(f"the task has no address of an image at {key!r}"))
            else:
                addresses.append(address)
                problems.append(None)
        return cls(problems, addresses)


def _now(made: "Future[Made]") -> Made | None:
    return made.result() if made.done() else None


async def _until(deadline: float, waiting: Sequence["Future[Made]"]) -> None:
    """Wait for all, until the deadline at most; what is not done is not stopped."""
    rest = deadline - monotonic()
    if waiting and rest > 0:
        futures = [asyncio.wrap_future(one) for one in waiting]
        await asyncio.wait(futures, timeout=rest)


async def _webhook(request: Request) -> Response:
    """Label Studio's news, without any login and with a key inside: taken, and not looked at."""
    async for _ in request.stream():
        pass
    return JSONResponse({})


async def _json(request: Request) -> Mapping[str, Any]:
    """The body of a request.

    Raises:
        UsageError: it is too long, or no JSON object.
    """
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise UsageError("the call is no application/json")  # a page in a browser cannot send that
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise UsageError(
                f"the call has more than {MOST_BYTES / 1e6:.0f} MB: select fewer tasks"
            )
    try:
        said = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise UsageError("the call is no JSON") from None
    if not isinstance(said, dict):
        raise UsageError("the call is no JSON object")
    return said
