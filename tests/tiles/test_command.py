"""`--tile` and `--overlap` on the command line, on one scene much larger than the input."""

import contextlib
import json
import sys
from pathlib import Path

import pytest

from gradbox import cli
from gradbox.cli.method_options import TileOptions
from gradbox.datasets import scenes
from gradbox.errors import UsageError
from gradbox.methods import METHODS, to_method
from gradbox.models.load import SCENES
from gradbox.specs import canonical
from gradbox.tiles.grid import grid


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> None:
    monkeypatch.setattr(sys, "argv", ["gradbox", *map(str, words)])
    with contextlib.suppress(SystemExit):  # how it ended, the files that it wrote say
        cli.main()


def test_a_large_scene_with_tiles_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes.write(tmp_path / "drawn", 1, size=(600, 600))
    lines = {}
    for name, options in {"whole": (), "tiles": ("--tile", 300, "--overlap", 0.1)}.items():
        out = tmp_path / name
        call(
            monkeypatch,
            *("locate", tmp_path / "drawn/images", "--model", SCENES, "--out", out),
            *("--method", "gradcam", "--box", "threshold(0.4)", *options),
        )
        (line,) = (out / "predictions.jsonl").read_text("utf-8").splitlines()
        lines[name] = json.loads(line)
    told = json.loads((tmp_path / "tiles/run.json").read_text("utf-8"))
    assert told["call"]["method"].startswith("tiled(part=gradcam(")
    assert told["call"]["method"].endswith(", size=300, overlap=0.1)")
    whole, tiles = lines["whole"], lines["tiles"]
    # `threshold` gives one box a view, so no more than the whole and each tile; all of one class.
    assert 1 == len(whole["boxes"]) <= len(tiles["boxes"]) <= 1 + len(grid((600, 600), 300, 0.1))
    assert set(tiles["labels"]) == set(whole["labels"])
    assert tiles["scores"] == sorted(tiles["scores"], reverse=True)


def test_compare_tiles_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes.write(tmp_path / "drawn", 2, size=(96, 96))
    call(
        monkeypatch,
        *("compare", f"csv:{tmp_path / 'drawn'}", "--model", SCENES, "--tile", 48),
        *("--run", "gradcam | mass", "--run", "gradcam | whole", "--out", tmp_path / "out"),
    )
    table = json.loads((tmp_path / "out/compare.json").read_text("utf-8"))
    assert [row["run"] for row in table["runs"]] == [
        "tiled(gradcam, size=48) | mass",
        "tiled(gradcam, size=48) | whole",
    ]


@pytest.mark.parametrize("method", ["auto", "smooth(gradcam, sigma=2)", "dam(k=3)"])
def test_the_flag_wraps_any_method(method: str) -> None:
    text = TileOptions(tile=320, overlap=0.25).on_tiles(method)
    inner = canonical(to_method(method), METHODS)
    assert canonical(to_method(text), METHODS) == f"tiled(part={inner}, size=320, overlap=0.25)"
    assert TileOptions().on_tiles(method) == method


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"overlap": 0.3}, "--overlap 0.3 needs tiles, as in --tile 640"),
        ({"tile": 8}, "size=8: pixels of a tile's side, 32 or more"),
        ({"tile": 640, "overlap": 0.95}, "overlap=0.95: a share of a tile's side, 0 to 0.9"),
    ],
)
def test_what_cannot_be_is_one_line(options: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        to_method(TileOptions(**options).on_tiles("gradcam"))


def test_tiles_of_tiles_are_refused() -> None:
    with pytest.raises(UsageError, match="tiles of tiles"):
        to_method(TileOptions(tile=640).on_tiles("tiled(gradcam)"))
