"""The doctor, at answers as Label Studio 1.23.2 gave them; tests/labelling has the real one."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from commands import run
from hosts import give, host

from gradbox.labelstudio.configuration import written

BLOCKED = {
    "status_code": 403,
    "detail": "URL resolves to a reserved network address (block: 127.0.0.0/8)",
}
LEGACY_OFF = {
    "status_code": 401,
    "detail": "Authentication token no longer valid: legacy token authentication has been disabled"
    " for this organization",
}
VERSION = "gradbox 1.0: gradcam() | mass(), 0123456789ab"
TASK = {"id": 1, "data": {"image": "/data/upload/1/a.png"}}


def region(label: str, **more: Any) -> dict[str, Any]:
    names = {"from_name": "label", "to_name": "image", "type": "rectanglelabels"}
    return {**names, "value": {"rectanglelabels": [label]}, **more}


def stored(*results: Any, version: str = VERSION) -> dict[str, Any]:
    return {"predictions": [{"model_version": version, "result": list(one)} for one in results]}


def tasks(*some: Mapping[str, Any]) -> dict[str, Any]:
    return {"/api/tasks": {"tasks": [{**TASK, **one} for one in some]}}


def image(address: str) -> dict[str, Any]:
    return tasks({"data": {"image": address}})


def about(**more: Any) -> dict[str, Any]:
    return {"/about": {"classes": ["cat", "dog"], "has_key": True, **more}}


def connected(url: str = "http://127.0.0.1:9", **more: Any) -> dict[str, Any]:
    usual = {"id": 7, "title": "gradbox", "url": url, "state": "CO", "error_message": None}
    return {"/api/ml/?project=1": [{**usual, "model_version": VERSION, **more}]}


def project(config: str = written(["cat", "dog"])) -> dict[str, Any]:
    return {"/api/projects/": {"results": [{"id": 1, "label_config": config}]}}


WELL = {
    "/api/version": {"release": "1.23.2"},
    "/api/current-user/whoami": {"id": 1},
    **project(),
    "/api/ml/": (400, ["Authentication username and password is required"]),
    "/api/webhooks/": (400, {"actions": ["not a valid choice"]}),
    "/api/ml/7/versions": {"versions": [VERSION]},
    **tasks(stored([region("cat")])),
    "/data/upload/1/a.png": b"an image",
    **about(),
}


@contextmanager
def answers(more: Mapping[str, Any]) -> Iterator[str]:
    """A Label Studio, and the backend with it, where all is well but `more`."""
    table: dict[str, Any] = {}

    def answer(it: Any) -> None:
        path = it.path if it.path in table else it.path.partition("?")[0]
        said = table.get(path)
        if callable(said):
            said = said(it.headers)
        status, said = said if isinstance(said, tuple) else (404 if said is None else 200, said)
        give(it, said if isinstance(said, bytes) else json.dumps(said).encode(), status)

    with host(answer) as (url, _):
        table.update({**WELL, **connected(url), **more})
        yield url


def wrong(capsys: Any, more: Mapping[str, Any], *words: str) -> list[str]:
    """The lines of what is wrong."""
    with answers(more) as url:
        code = run("doctor", "labelstudio", url, "--key", "k" * 40, *words)
    out, err = capsys.readouterr()
    lines = [line.removeprefix("gradbox: ") for line in err.splitlines()]
    assert code == (1 if lines else 0)
    assert all(line.startswith("well: ") for line in out.splitlines())
    return lines


FAULTS = {
    "no Label Studio": ({"/api/version": None}, "is no Label Studio"),
    "legacy tokens off": (
        {"/api/current-user/whoami": (401, LEGACY_OFF)},
        "legacy tokens are off: give a personal access token",
    ),
    "a wrong key": (
        {"/api/current-user/whoami": (401, {"detail": "Invalid token."})},
        "the key is not taken (status 401)",
    ),
    "no project": ({"/api/projects/": {"results": []}}, "there is no project"),
    "models blocked": ({"/api/ml/": (403, BLOCKED)}, "or for models, ML_BLOCK_LOCAL_IP=false"),
    "webhooks blocked": (
        {"/api/webhooks/": (403, BLOCKED)},
        "or for webhooks, SSRF_PROTECTION_ENABLED=false",
    ),
    "no such name": (
        {"/api/ml/": (500, {"detail": "Can't resolve hostname x"})},
        "cannot resolve this name",
    ),
    "no model": ({"/api/ml/?project=1": []}, "no model is connected"),
    "no answer": (connected(state="DI"), "does not answer Label Studio"),
    "refused": (connected(state="ER", error_message="no brush"), "take the project: no brush"),
    "another version": (
        {"/api/ml/7/versions": {"versions": ["v2"]}},
        "each call stores predictions again",
    ),
    "no picture": (project("<View/>"), "<Image"),
    "other labels": (about(classes=["lion"]), "no label is a class of the model (cat, dog against"),
    "no tasks": ({"/api/tasks": {"tasks": []}}, "there are no tasks"),
    "another name stored": (
        tasks(stored([region("cat", from_name="x")])),
        "have the names 'x' to 'image'",
    ),
    "another label stored": (tasks(stored([region("lion")])), "have the label 'lion'"),
    "another version stored": (tasks(stored([], version="v0")), "of another model version, v0"),
    "stored twice": (tasks(stored([], [])), "two predictions of one model version"),
    "an upload without a key": (
        {
            **about(has_key=False),
            "/data/upload/1/a.png": lambda them: b"x" if them["Authorization"] else (401, {}),
        },
        "needs a key, which gradbox serve has not",
    ),
    "a file that is gone": ({"/data/upload/1/a.png": (500, {})}, "cannot be fetched (status 500)"),
    "local files off": (
        {
            **image("/data/local-files/?d=a.png"),
            "/data/local-files/": (403, b"it's disabled by default. LOCAL_FILES_SERVING_ENABLED"),
        },
        "local files are off",
    ),
    "no local storage": (
        {**image("/data/local-files/?d=a.png"), "/data/local-files/": (404, b"")},
        "no local storage of the project holds it",
    ),
    "another host": (image("http://elsewhere.example/a.png"), "--images-from http://elsewhere"),
    "a bucket without a storage": (
        {**image("s3://bucket/a.png"), "/tasks/1/resolve/": (404, {})},
        "add its bucket under Settings",
    ),
    "a storage of another kind": (image("redis://host/a.png"), "may not be read by gradbox serve"),
    "a path": (image("folder/a.png"), "--root"),
    "no address": (tasks({"data": {"text": "x"}}), "1 tasks have no address at 'image'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_line(fault, capsys):
    more, said = FAULTS[fault]
    (line,) = wrong(capsys, more)
    assert said in line


WELL_ENOUGH = {
    "a bucket": {**image("s3://bucket/a.png"), "/tasks/1/resolve/": b"an image"},
    "all": {},
    "local files below the root": {**image("/data/local-files/?d=a"), **about(has_root=True)},
    "paths below the root": {**image("folder/a.png"), **about(has_root=True)},
    "a named host": {**image("http://x.example/a"), **about(images_from=["http://x.example"])},
    "some classes without a label": about(classes=["cat", "lion"]),
    "a class with another label": about(classes=["lion"], labels_map={"lion": "cat"}),
    "a backend that cannot be asked from here": {"/about": None},
}


@pytest.mark.parametrize("case", WELL_ENOUGH)
def test_what_is_no_fault(case, capsys):
    assert wrong(capsys, WELL_ENOUGH[case]) == []


def test_one_project_and_no_key(capsys):
    with answers({"/api/projects/1/": {"id": 1, "label_config": written(["cat"])}}) as url:
        words = ("doctor", "labelstudio", url)
        assert run(*words, "--key", "k", "--project", "2") == 1
        assert "there is no project 2" in capsys.readouterr().err
        assert run(*words) == 1
        assert "no key: make a personal access token" in capsys.readouterr().err
        run(*words, "--key", "k", "--project", "1")
        assert "have the label" not in capsys.readouterr().err


def test_nobody_there_is_one_line(capsys):
    assert run("doctor", "labelstudio", "http://127.0.0.1:9", "--key", "k") == 1
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err
    assert run("doctor", "labelstudio", "127.0.0.1", "--key", "k") == 2
    assert "URL '127.0.0.1' is no address" in capsys.readouterr().err
