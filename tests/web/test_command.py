"""`gradbox web` refuses in one line what cannot be, before a model is loaded where that can be."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from commands import run

from gradbox.models.load import SCENES

SMALL = ("--model", SCENES, "--method", "sensitivity")


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gradbox.web.server.find_spec", lambda name: None)
    assert run("web", *SMALL) == 2
    said = capsys.readouterr().err
    assert said == "gradbox: gradbox web needs Gradio: pip install 'gradbox[web]'\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--method", "sensitivty"), "did you mean sensitivity?"),
        (
            ("--method", "gradcam", "--no-foreground", "--port", "70000"),
            "less than or equal to 65535",
        ),
        (("--out", "notes.txt"), "notes.txt holds something else than drawn boxes"),
        (("--max-mb", "0"), "--max-mb"),
    ],
)
def test_wrong_words(
    words: tuple[str, ...],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("gradio_image_annotation")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gradbox.models.load.load_classifier", None)  # it is not come to that
    Path("notes.txt").write_text("mine")
    assert run("web", *words) == 2
    assert why in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """In a process of its own: Gradio leaves sockets of its own open in this one."""
    pytest.importorskip("gradio_image_annotation")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "gradbox.cli", "web", *SMALL, "--port", str(port)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    line = f"gradbox: port {port} of 127.0.0.1 is taken: give another --port"
    assert done.stderr.splitlines()[-1] == line
    assert not list(tmp_path.iterdir())
