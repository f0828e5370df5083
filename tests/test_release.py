"""Versions by tag, what the distributions hold, and the words of the audit."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[1]
BUILT_HERE = ("--no-isolation", "--skip-dependency-check")  # no network: the tools of `dev`


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this checkout as they are now, without git."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: which files belong to the project cannot be told")
    folder = tmp_path_factory.mktemp("files") / "gradbox"
    named = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(named, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def commit(folder: Path, tag: str | None = None) -> None:
    """One more commit, with this tag."""
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    git = ("git", *who, "-C", str(folder))
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "all"], check=True)
    if tag is not None:
        subprocess.run([*git, "tag", tag], check=True)


@pytest.mark.slow
def test_a_tag_is_the_version_of_both_distributions_and_the_wheel_is_the_package_alone(
    files: Path, tmp_path: Path
) -> None:
    pytest.importorskip("hatch_vcs")
    checkout = Path(shutil.copytree(files, tmp_path / "gradbox"))
    commit(checkout, "v1.2.3")
    sdist, wheel = load("release").build(checkout, *BUILT_HERE)
    assert (sdist.name, wheel.name) == ("gradbox-1.2.3.tar.gz", "gradbox-1.2.3-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as content:
        packed = {name for name in content.namelist() if name.startswith("gradbox/")}
        assert "Version: 1.2.3" in content.read("gradbox-1.2.3.dist-info/METADATA").decode()
    sources = [path for path in (files / "src/gradbox").rglob("*") if path.is_file()]
    assert packed == {path.relative_to(files / "src").as_posix() for path in sources}
    with tarfile.open(sdist) as archive:  # whoever packages it can run the tests
        assert "gradbox-1.2.3/tests/test_release.py" in archive.getnames()


@pytest.mark.slow
def test_the_bill_of_materials_names_the_release_and_no_folder_of_the_machine(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("hatch_vcs")
    pytest.importorskip("cyclonedx_py")
    release = load("release")
    checkout = Path(shutil.copytree(files, tmp_path / "gradbox"))
    commit(checkout, "v1.2.3")
    _, wheel = release.build(checkout, *BUILT_HERE)

    def alone(distribution: Path, python: str, folder: Path) -> Path:
        """The wheel without what it requires, which takes a minute and a network."""
        release.run(python, "-m", "venv", "--without-pip", folder)
        pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "-q")
        release.run(*pip, "--no-deps", "--no-index", distribution)
        return folder / "bin"

    monkeypatch.setattr(release, "bare", alone)
    path = release.sbom(wheel, sys.executable)
    listed = json.loads(path.read_text("utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    assert [(one["name"], one["version"]) for one in listed["components"]] == [("gradbox", "1.2.3")]
    assert str(tmp_path) not in path.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tags", "version"),
    [
        ((), "0.2.0.dev0"),
        ((None, None), "0.2.0.dev2"),
        ((None, "v0.2.0"), "0.2.0"),
        (("v0.2.0", None), "0.2.1.dev1"),
    ],
    ids=["no git", "no tags", "a tag", "after a tag"],
)
def test_every_checkout_has_a_version(
    files: Path, tmp_path: Path, tags: tuple[str | None, ...], version: str
) -> None:
    """The tag itself; else commits since it, or since `fallback-version`, which follows 0.1."""
    pytest.importorskip("hatch_vcs")
    checkout = Path(shutil.copytree(files, tmp_path / "gradbox"))
    for tag in tags:
        commit(checkout, tag)
    asked = [sys.executable, "-m", "hatchling", "version"]
    said = subprocess.run(asked, cwd=checkout, check=True, capture_output=True, text=True).stdout
    assert said.strip() == version


def test_a_wheel_with_more_than_the_package_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "gradbox-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr("gradbox/__init__.py", "")
        content.writestr("tests/test_files.py", "")
    with pytest.raises(SystemExit, match=r"tests/test_files\.py, which is no part of the package"):
        load("release").check_wheel(wheel)


def test_the_workflow_pins_its_actions_and_only_publishing_may_ask_for_a_token() -> None:
    path = ROOT / ".github/workflows/release.yml"
    if not path.exists():
        pytest.skip("an sdist holds no workflows")
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads `on` as true
    assert workflow["permissions"] == {}
    jobs = workflow["jobs"]
    asks = [name for name, job in jobs.items() if "id-token" in job["permissions"]]
    assert asks == ["publish"]
    assert not any("run" in step for step in jobs["publish"]["steps"])
    uses = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", use) for use in uses)


def tool(folder: Path, script: str) -> Path:
    """An interpreter's folder with this script as its pip-audit."""
    path = folder / "pip-audit"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return folder / "python"


REPORT = (
    '{"dependencies": [{"name": "a", "version": "1", "vulns": '
    '[{"id": "CVE-1", "fix_versions": ["2"]}]}, {"name": "b", "version": "1", "vulns": []}, '
    '{"name": "c", "skip_reason": "not there"}]}'
)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            f"echo '{REPORT}'; exit 1",
            "audit: warning: a 1: CVE-1, mended in 2\n"
            "audit: 1 known vulnerabilities in 2 packages, 1 unknown there",
        ),
        (
            'echo \'{"dependencies": [{"name": "c"}]}\'',
            "audit: left out, nothing is known there of any of 1 packages",
        ),
        (
            "echo Traceback >&2; echo no route to host >&2; exit 1",
            "audit: left out, pip-audit could not ask (no route to host)",
        ),
        ("exec sleep 60", "audit: left out, no answer within 1 s"),
    ],
    ids=["finding", "mirror that knows nothing", "no network", "no end"],
)
def test_the_audit_warns_and_never_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr(sys, "executable", str(tool(tmp_path, script)))
    assert load("audit").audit(Path("constraints.txt"), limit=1) == said


def test_the_audit_says_so_where_there_is_no_pip_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    said = load("audit").audit(Path("constraints.txt"))
    assert said == ("audit: left out, pip-audit cannot be run here (No such file or directory)")
