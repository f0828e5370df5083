"""Which images to box next: little trusted, different from each other, and never twice."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import gradbox
from gradbox.images.find import find_images
from gradbox.runs import choosing
from gradbox.runs.choosing import choose_next, spread

SIDE = 32


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two grey photographs that are nearly the same, and three others."""
    folder = tmp_path / "photos"
    folder.mkdir()
    levels = {"a.png": 100, "twin of a.png": 101, "black.png": 0, "white.png": 255, "dim.png": 50}
    for name, level in levels.items():
        image = np.full((SIDE, SIDE, 3), level, np.uint8)
        image[::2, ::2] += 0 if level == 255 else 1  # one that is all the same is left out
        image[0, 0] = 128
        Image.fromarray(image).save(folder / name)
    return folder


TRUST = {"a.png": 0.1, "twin of a.png": 0.11, "black.png": 0.3, "white.png": 0.3, "dim.png": 0.9}


@pytest.fixture
def boxes(images: Path, card: Path, tmp_path: Path) -> Path:
    """A run over them, whose probabilities are those of `TRUST`."""
    out = tmp_path / "boxes"
    classifier = gradbox.load_classifier(str(card))
    gradbox.locate(find_images([images]), classifier, out, method="sensitivity")
    trust(out, TRUST)
    return out


def trust(out: Path, values: dict[str, float]) -> None:
    path = out / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["label_scores"] = [values[line["image"]]] * len(line["boxes"])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def names(run_folder: Path, count: int, **options: object) -> list[str]:
    return [one.image_id for one in choose_next(run_folder, count, **options).chosen]  # type: ignore[arg-type]


def test_the_least_trusted_image_goes_first_and_its_twin_last(boxes: Path) -> None:
    # By hand, grey levels in 0..255: a; then white (0.7 x 155) before black (0.7 x 100) and dim
    # (0.1 x 50); the twin (0.89 x 1) comes behind all of them, though it is the second least
    # trusted.
    assert names(boxes, 5) == ["a.png", "white.png", "black.png", "dim.png", "twin of a.png"]
    assert names(boxes, 2) == ["a.png", "white.png"]


def test_the_scores_are_the_trust_where_they_are_probabilities(boxes: Path) -> None:
    facts = json.loads((boxes / "run.json").read_text())
    (boxes / "run.json").write_text(json.dumps({**facts, "is_calibrated": True}))
    lines = dict(gradbox.read_predictions(boxes / "predictions.jsonl"))
    least = min(lines, key=lambda name: lines[name].scores[0])  # type: ignore[union-attr]
    assert names(boxes, 1) == [least]


def test_an_image_without_a_box_is_not_trusted_at_all(boxes: Path) -> None:
    path = boxes / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["image"] == "dim.png":
            line.update(
                {key: [] for key in ("boxes", "labels", "names", "label_scores", "scores", "peaks")}
            )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert names(boxes, 1) == ["dim.png"]


def test_no_more_images_are_looked_at_than_the_pool_holds(
    boxes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing, "POOL", 1)
    assert names(boxes, 2) == ["a.png", "twin of a.png"]


def test_images_that_fail_or_are_gone_or_boxed_are_not_chosen(boxes: Path, images: Path) -> None:
    (images / "a.png").unlink()
    found = choose_next(boxes, 5, boxed=["black.png"])
    assert found.problems == {"a.png": "there is no such file"}
    assert found.n_boxed == 1
    assert {one.image_id for one in found.chosen} == {"white.png", "dim.png", "twin of a.png"}
    with pytest.raises(gradbox.UsageError, match="no image left to box: 5 have boxes"):
        choose_next(boxes, 5, boxed=TRUST)
    moved = images.rename(images.with_name("moved"))
    with pytest.raises(gradbox.UsageError, match=r"no image can be read .*--images DIR says where"):
        choose_next(boxes, 5)
    assert len(choose_next(boxes, 5, images=moved).chosen) == 4


def test_an_image_of_one_colour_is_nothing_to_box(boxes: Path, images: Path, card: Path) -> None:
    Image.new("RGB", (SIDE, SIDE)).save(images / "blank.png")
    out = boxes.with_name("again")
    classifier = gradbox.load_classifier(str(card))
    gradbox.locate(find_images([images]), classifier, out, method="sensitivity")
    assert "blank.png" not in names(out, 9)


@settings(max_examples=25, deadline=None)
@given(
    trust=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    count=st.integers(1, 10),
    seed=st.integers(0, 99),
)
def test_a_spread_is_of_different_rows_and_greedy(
    trust: list[float], count: int, seed: int
) -> None:
    # A second implementation, row by row.
    copies = np.random.default_rng(seed).random((len(trust), 3))
    expected: list[int] = []
    for _ in range(min(count, len(trust))):
        rest = [i for i in range(len(trust)) if i not in expected]

        def worth(i: int, so_far: tuple[int, ...] = tuple(expected)) -> float:
            near = [np.sqrt(((copies[i] - copies[j]) ** 2).mean()) for j in so_far]
            return (1 - trust[i]) * min(near, default=1.0)

        expected.append(max(rest, key=lambda i: (worth(i), -trust[i], -i)))
    assert spread(np.array(trust), copies, count) == expected


def test_the_command_writes_a_list_and_a_table(
    boxes: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("next", boxes, "--count", 2) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [str(images / "a.png"), str(images / "white.png")]
    assert run("next", boxes, "--count", 2, "--out", tmp_path / "next.txt") == 0
    assert (tmp_path / "next.txt").read_text().splitlines() == shown
    assert run("next", boxes, "--count", 2, "--out", tmp_path / "next.csv") == 0
    with (tmp_path / "next.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["path"] for row in rows] == shown
    assert [float(row["trust"]) for row in rows] == [0.1, 0.3]


def test_what_was_boxed_meanwhile_is_left_out(
    boxes: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    shutil.copytree(images, data / "images")
    header = "image,width,height,class,xmin,ymin,xmax,ymax\n"
    (data / "boxes.csv").write_text(header + f"a.png,{SIDE},{SIDE},disc,1,1,9,9\n")
    # An image of the folder without a line has no box, and is still to be boxed.
    assert run("next", boxes, "--count", 1, "--boxed", f"csv:{data}") == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(images / "twin of a.png")]
    assert "1 images of the run have boxes already" in said.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "nowhere"),
        (("{boxes}", "--images", "nowhere"), "--images nowhere is no folder"),
        (("{boxes}", "--count", "0"), "Invalid value for '--count'"),
    ],
)
def test_a_wrong_call_is_one_line(
    words: tuple[str, ...],
    message: str,
    boxes: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("next", *(word.format(boxes=boxes) for word in words)) == 2
    assert message in " ".join(capsys.readouterr().err.split())
