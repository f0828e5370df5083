"""What reaches the terminal: no control character of a name, no chatter of a decoder."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from gradbox.cli.console import cell, shown


def called(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradbox.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b-é漢.png", "a b-é漢.png"),
        ("\x1b[31m\x07\x7f", r"\x1b[31m\x07\x7f"),
        ("line\nfeed\r\t", r"line\nfeed\r\t"),
        ("\x9b31m\x85\u2028", r"\x9b31m\x85\u2028"),  # one character that starts a sequence, too
        ("gpj.\u202eexe", r"gpj.\u202eexe"),  # would be read from right to left
        ("\udcff", r"\udcff"),  # a byte that is no UTF-8; printing it would be an error
    ],
)
def test_what_a_terminal_could_obey_is_escaped(name: str, expected: str) -> None:
    assert shown(name) == expected
    assert cell(f"[red]{name}") == f"\\[red]{expected}"


@pytest.mark.slow
def test_names_reach_the_terminal_escaped_and_json_whole(card: Path, tmp_path: Path) -> None:
    """In every way to print: the table, complaints, counts, and JSON, which is read back."""
    folder, names = tmp_path / "in", ["\x1b[31mred.png", "\x85next.png", "broken\x1b[0m.png"]
    folder.mkdir()
    for name in names:
        Image.new("RGB", (40, 30), "red").save(folder / name)
    (folder / names[2]).write_bytes(b"no image")
    call = ("locate", folder, "--model", card, "--method", "sensitivity")
    for words in ((), ("--out", tmp_path / "a"), ("--out", tmp_path / "b", "--json")):
        done = called(*call, *words)
        assert done.returncode == 1, done.stderr
        assert not set("\x1b\x85") & set(done.stdout + done.stderr)
        assert r"broken\x1b[0m.png: this is no image" in done.stderr
    assert list(json.loads(done.stdout)["failures"]) == [names[2]]


@pytest.mark.slow
def test_decoders_do_not_talk_to_the_terminal(card: Path, tmp_path: Path) -> None:
    """A strip that zlib cannot read, of which libtiff tells, and a tag that Pillow warns of."""
    folder = tmp_path / "in"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    tags = ImageFileDirectory_v2()
    tags[65000], tags.tagtype[65000] = "x" * 100, 2  # a text, behind all tags that Pillow needs
    options = {"compression": "tiff_adobe_deflate", "tiffinfo": tags}
    Image.fromarray(noise).save(folder / "strip.tif", **options)
    data = bytearray((folder / "strip.tif").read_bytes())
    tag = data.index(b"\xe8\xfd\x02\x00")
    (folder / "tag.tif").write_bytes(data[: tag + 4] + b"\xff\xff\xff\x7f" + data[tag + 8 :])
    data[1000:1010] = bytes(10)
    (folder / "strip.tif").write_bytes(data)
    call = ("locate", folder, "--model", card, "--method", "sensitivity")
    done = called(*call, "--out", tmp_path / "out")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if not line.startswith("localizing")]
    assert len(said) == 1
    assert said[0].startswith("gradbox: strip.tif: the image is broken")
