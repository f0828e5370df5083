"""A run with a head says that boxes were seen, and is not scored on those that it has seen."""

import json
from dataclasses import replace
from pathlib import Path

import heads
import pytest

from gradbox.datasets import load_dataset
from gradbox.datasets.dataset import Dataset
from gradbox.errors import UsageError
from gradbox.files import hash_file
from gradbox.foreground.head import Head
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate, locate

STAMP = "foreground head: 2 boxed photographs"


def named(discs: Path, image_id: str) -> Dataset:
    """The discs, one of them under another name."""
    dataset = load_dataset(f"csv:{discs}")
    first, *others = dataset.samples
    return replace(dataset, samples=[replace(first, image_id=image_id), *others])


def score(dataset: Dataset, head: Head, card: Path, out: Path, method: str = "{}") -> Path:
    file = out.parent / "head.safetensors"
    head.save(file)
    text = method.format(f"foreground(sizes=[32], head='{file}')")
    classifier = load_classifier(str(card), device="cpu")
    evaluate(dataset, classifier, out, method=text)
    return out


@pytest.mark.parametrize(
    "name",
    [
        "ILSVRC2012_val_00000007.JPEG",
        "resized/ILSVRC2012_val_00000007.png",
        "320_ILSVRC2012_val_00000007_n01.jpg",
    ],
)
def test_copies_of_training_images_are_refused_by_their_number(
    discs: Path, card: Path, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        UsageError,
        match=r"was fitted on 1 of these images \(.*_00000007.*STAMP".replace("STAMP", STAMP),
    ):
        score(named(discs, name), heads.untrained(), card, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_training_images_are_refused_by_their_hash_in_a_combination_too(
    discs: Path, card: Path, tmp_path: Path
) -> None:
    head = heads.untrained(image_hashes=frozenset({hash_file(discs / "images" / "03.png")}))
    with pytest.raises(UsageError, match=r"product\(.*was fitted on 1 of these images \(03.png"):
        score(load_dataset(f"csv:{discs}"), head, card, tmp_path / "out", "product({}, gradcam)")


def test_the_stamp_stands_in_files_and_the_report(discs: Path, card: Path, tmp_path: Path) -> None:
    out = score(
        named(discs, "ILSVRC2012_val_00000008.JPEG"), heads.untrained(), card, tmp_path / "out"
    )
    run = json.loads((out / "run.json").read_text("utf-8"))
    assert run["supervision"] == STAMP
    assert run["call"]["method_hash"] == Head.load(tmp_path / "head.safetensors").seen.sha256
    assert json.loads((out / "metrics.json").read_text("utf-8"))["supervision"] == STAMP
    assert STAMP in (out / "report.html").read_text("utf-8")


def test_another_head_in_the_same_file_is_another_run(
    discs: Path, card: Path, tmp_path: Path
) -> None:
    samples, classifier = load_dataset(f"csv:{discs}").samples[:2], load_classifier(str(card))
    file = tmp_path / "head.safetensors"
    text = f"foreground(sizes=[32], head='{file}')"
    head = heads.untrained()
    head.save(file)
    locate(samples, classifier, tmp_path / "out", method=text)
    other = heads.untrained()
    other.network.deciding[-1].bias.data += 1
    other.save(file)
    with pytest.raises(UsageError, match="method_hash was"):
        locate(samples, classifier, tmp_path / "out", method=text)
