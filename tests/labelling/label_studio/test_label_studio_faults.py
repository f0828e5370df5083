"""Every fault that `gradbox doctor labelstudio` names, made in Label Studio itself."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run
from serving import METHOD, MODEL, Backend, serving
from studio import LEGACY_KEY, LabelStudio

from gradbox.labelstudio.configuration import written

pytestmark = [pytest.mark.labelling, pytest.mark.timeout(1200)]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """The lines of what is wrong."""

    def ask(studio: LabelStudio, key: str, project: int, *words: object) -> list[str]:
        capsys.readouterr()
        code = run(
            *("doctor", "labelstudio", studio.url, "--key", key, "--project", project, *words)
        )
        out, err = capsys.readouterr()
        assert code == (1 if err else 0)
        with capsys.disabled():
            print(f"\n{out}{err}", end="")
        return err.splitlines()

    return ask


@pytest.fixture
def well(studio: LabelStudio, backend: Backend, config: str, scenes: Path) -> int:
    """A project in which nothing is wrong."""
    project = studio.project(config, "well")
    image = scenes / "images" / "scene_000000.png"
    (task,) = studio.upload(project, {image.name: image})
    assert studio.connect(project, backend.url)[0] == 201
    studio.retrieve(project, [task["id"]])
    return project


def test_where_nothing_is_wrong(studio, key, well, doctor):
    assert doctor(studio, key, well) == []


def test_local_and_private_addresses_are_blocked(start, backend, config, doctor):
    # As Label Studio starts by itself; 172.17.0.1 is where Docker's containers find their host.
    with start("blocked") as blocked:
        key, project = blocked.personal_token(), blocked.project(config)
        for url in (backend.url, "http://172.17.0.1:9090"):
            status, said = blocked.connect(project, url)
            assert (status, "reserved network address" in said["detail"]) == (403, True)
            lines = doctor(blocked, key, project, "--backend", url)
            assert "USE_DEFAULT_BANNED_SUBNETS=false" in lines[0]
            assert "for models, ML_BLOCK_LOCAL_IP=false; for webhooks, SSRF_PRO" in lines[0]
        # Nothing was made by asking.
        assert blocked.ask("GET", f"/api/ml/?project={project}") == []
        assert blocked.ask("GET", f"/api/webhooks/?project={project}") == []
        local = {"data": {"image": "/data/local-files/?d=scenes/a.png"}}
        blocked.ask("POST", f"/api/projects/{project}/import", [local])
        lines = doctor(blocked, key, project)
        assert any("local files are off" in line for line in lines)
    with start("half", ML_BLOCK_LOCAL_IP="false") as half:
        key, project = half.personal_token(), half.project(config)
        assert half.connect(project, backend.url)[0] == 403  # and the model is there all the same
        lines = doctor(half, key, project)
        assert "or for webhooks, SSRF_PROTECTION_ENABLED=false" in lines[0]
        assert "for models" not in lines[0]


def test_legacy_tokens_are_off_and_on(studio, well, doctor):
    (line,) = doctor(studio, LEGACY_KEY, well)
    assert "legacy tokens are off" in line
    studio.legacy_tokens(enabled=True)
    try:
        assert doctor(studio, LEGACY_KEY, well) == []
        (line,) = doctor(studio, "0" * 40, well)
        assert "the key is not taken (status 401)" in line
    finally:
        studio.legacy_tokens(enabled=False)


def test_names_and_labels_that_do_not_match(studio, key, well, backend, doctor):
    # Label Studio stores both without a word.
    (task,) = studio.tasks(well)
    value = {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 0}
    region = {"type": "rectanglelabels", "original_width": 96, "original_height": 96}
    for name, label in (("box", "butterfly"), ("label", "tiger")):
        result = [
            {
                **region,
                "id": name,
                "from_name": name,
                "to_name": "image",
                "value": {**value, "rectanglelabels": [label]},
            }
        ]
        version = task["predictions"][0]["model_version"]
        body = {"task": task["id"], "result": result, "model_version": version + name}
        studio.ask("POST", "/api/predictions/", body)
    lines = doctor(studio, key, well)
    assert any("the names 'box' to 'image'" in line for line in lines)
    assert any("the label 'tiger'" in line for line in lines)
    assert sum("of another model version" in line for line in lines) == 2
    project = studio.project(written(["tiger", "lion"]), "other labels")
    assert studio.connect(project, backend.url)[0] == 201
    lines = doctor(studio, key, project)
    assert any("no label is a class of the model (lion, tiger against" in line for line in lines)


def test_a_project_of_other_labels_gets_nothing(studio, key, backend, scenes):
    # Nor may it: what is stored once is never asked for again.
    project = studio.project(written(["tiger", "lion"]), "nothing")
    image = scenes / "images" / "scene_000001.png"
    (task,) = studio.upload(project, {image.name: image})
    assert studio.connect(project, backend.url)[0] == 201
    studio.retrieve(project, [task["id"]])
    assert studio.predictions(task["id"]) == []


def test_uploads_need_a_key(studio, key, config, scenes, tmp_path, doctor):
    project = studio.project(config, "no key")
    image = scenes / "images" / "scene_000002.png"
    (task,) = studio.upload(project, {image.name: image})
    words = ("--model", MODEL, "--method", METHOD, "--label-studio", studio.url)
    with serving(tmp_path / "log.txt", *words) as keyless:
        assert studio.connect(project, keyless.url)[0] == 201
        studio.retrieve(project, [task["id"]])
        assert studio.predictions(task["id"]) == []  # so it can be asked for again
        assert "LABEL_STUDIO_API_KEY" in keyless.log.read_text()
        (line,) = doctor(studio, key, project)
        assert "needs a key, which gradbox serve has not" in line
    (line, *_) = doctor(studio, key, project)
    assert "does not answer Label Studio" in line


def test_local_files_without_a_storage_and_with_one(studio, key, backend, config, scenes, doctor):
    project = studio.project(config, "local files")
    folder = scenes.parent / "of-no-storage"
    folder.mkdir()
    shutil.copy(scenes / "images" / "scene_000003.png", folder)
    address = f"/data/local-files/?d={folder.name}/scene_000003.png"
    studio.ask("POST", f"/api/projects/{project}/import", [{"data": {"image": address}}])
    assert studio.connect(project, backend.url)[0] == 201
    (line,) = doctor(studio, key, project)
    assert "no local storage of the project holds it" in line
    storage = {"project": project, "path": str(folder), "use_blob_urls": True}
    studio.ask("POST", "/api/storages/localfiles", storage)
    assert doctor(studio, key, project) == []
    (task,) = studio.tasks(project)
    studio.retrieve(project, [task["id"]])
    assert len(studio.predictions(task["id"])) == 1


def test_another_model_version_and_a_password(studio, key, config, scenes, tmp_path, doctor):
    project = studio.project(config, "versions")
    image = scenes / "images" / "scene_000004.png"
    (task,) = studio.upload(project, {image.name: image})
    words = ("--model", MODEL, "--label-studio", studio.url, "--user", "ann")
    given = {"LABEL_STUDIO_API_KEY": key, "GRADBOX_PASSWORD": "secret"}
    login = {"auth_method": "BASIC_AUTH", "basic_auth_user": "ann", "basic_auth_pass": "secret"}
    with serving(tmp_path / "a.txt", *words, "--method", METHOD, **given) as first:
        status, said = studio.connect(project, first.url, **{**login, "basic_auth_pass": "x"})
        assert (status, "authentication parameters" in str(said)) == (400, True)
        status, model = studio.connect(project, first.url, **login, auto_update=False)
        assert status == 201
        body = {**login, "project": project, "url": first.url, "model_version": "gradbox 0"}
        studio.ask("PATCH", f"/api/ml/{model['id']}", body)
        lines = doctor(studio, key, project, "--user", "ann", "--password", "secret")
        assert any("each call stores predictions again" in line for line in lines)
        studio.ask("PATCH", f"/api/ml/{model['id']}", {**body, "auto_update": True})
        assert doctor(studio, key, project, "--user", "ann", "--password", "secret") == []
        studio.retrieve(project, [task["id"]])
        port = first.url.rpartition(":")[2]
    with serving(tmp_path / "b.txt", *words, "--method", "gradcam", port=port, **given):
        studio.retrieve(project, [task["id"]])
        versions = {one["model_version"] for one in studio.predictions(task["id"])}
        assert len(versions) == 2  # the old ones stay beside the new
        lines = doctor(studio, key, project, "--user", "ann", "--password", "secret")
        assert any("of another model version" in line for line in lines)
    assert "secret" not in (tmp_path / "a.txt").read_text() + (tmp_path / "b.txt").read_text()
