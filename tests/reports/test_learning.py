"""The report of a training: every number of it stands on the page, and no name is code."""

import re
from pathlib import Path
from typing import Any

import pytest

from gradbox.reports.learning import ClassRow, curves, write_learning


def epochs(count: int) -> list[dict[str, Any]]:
    losses = [2.0 / (number + 1) for number in range(count)]
    return [
        {
            "epoch": number + 1,
            "train_loss": loss,
            "train_accuracy": 1 - loss / 2,
            "loss": loss,
            "accuracy": 1 - loss / 2,
        }
        for number, loss in enumerate(losses)
    ]


@pytest.mark.parametrize(("head", "said"), [("softmax", "are recognized"), ("sigmoid", "50 % is")])
def test_every_number_stands_on_the_page(head: str, said: str, tmp_path: Path) -> None:
    report = {
        "head": head, "accuracy": 0.8125, "loss": 0.4321, "epoch": 2, "epochs": 3, "n_train": 61,
        "n_validation": 17, "seconds": 1.0, "notes": ["<i>: in every image"],
        "skipped": ["a<b.png: no image"],
    }  # fmt: skip
    classes = [
        ClassRow(name="<script>", accuracy=0.875, n_train=43, n_validation=12),
        ClassRow(name="rare", accuracy=0.5, n_train=18, n_validation=5),
    ]
    write_learning(
        tmp_path / "report.html",
        title="Training with <x>",
        report=report,
        epochs=epochs(3),
        classes=classes,
        facts={"command": "gradbox train <x>"},
    )
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "61 images to train with, 17 held out" in page
    assert "epoch 2 of 3" in page
    assert all(number in page for number in ("81.2 %", "0.432 nats", "87.5", "50.0", said))
    assert not re.search("<script>|<x>|<i>|a<b", page)
    rows = re.findall(r'<tr class="(few)?"><td>([^<]*)</td>', page)
    assert rows == [("", "&lt;script&gt;"), ("few", "rare")]  # 5 are fewer than 10


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_curve_has_a_point_an_epoch(count: int) -> None:
    """Each of the two lines of a figure is one path of as many points; few have markers, too."""
    for drawn in curves(epochs(count), 1):
        paths = re.findall(r'<path d="(M [^"]*)"[^>]*stroke: #(?:0b6fb8|d55e00)', drawn)
        lines = [path for path in paths if path.count("\n") + 1 >= count]
        assert len(lines) >= 2
        assert "held out" in drawn
        assert ("<use" in drawn) or count >= 10
