"""`gradbox export`, as a user types it."""

import json
from pathlib import Path

import pytest
from commands import run

MODEL = ("--model", "gradbox/scenes", "--method", "sensitivity", "--device", "cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    assert run("scenes", 6, "--size", 64, "--out", folder) == 0
    (folder / "images" / "z.png").write_bytes(b"no image")
    return folder / "images"


def test_the_lines_of_a_run_in_shards_are_those_of_one_without(
    photos: Path, tmp_path: Path
) -> None:
    lines, shards = tmp_path / "lines", tmp_path / "shards"
    assert run("locate", photos, *MODEL, "--out", lines, "--quiet") == 1
    assert run("locate", photos, *MODEL, "--out", shards, "--shard", 4, "--quiet") == 1
    assert not (shards / "predictions.jsonl").exists()
    assert run("export", shards, "--format", "jsonl,csv") == 0
    assert run("export", lines, "--format", "csv,jsonl", "--out", tmp_path / "other") == 0
    texts = (lines / "predictions.jsonl").read_bytes()
    assert (shards / "predictions.jsonl").read_bytes() == texts
    assert (tmp_path / "other" / "predictions.jsonl").read_bytes() == texts
    tables = [(one / "boxes.csv").read_bytes() for one in (shards, tmp_path / "other")]
    assert tables[0] == tables[1]
    assert json.loads(texts.splitlines()[-1])["image"] == "z.png"


def test_wrong_calls_are_one_line(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        ((tmp_path, "--format", "csv"), "holds no run"),
        ((tmp_path, "--format", "cvs"), "unknown format 'cvs' (did you mean csv"),
        ((tmp_path, "--format", ""), "nothing to export"),
    ):
        assert run("export", *words) == 2
        assert said in " ".join(capsys.readouterr().err.split())
