"""What is scored: parts of a data set, its units, and what is odd about it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeLocalizer

import gradbox
from gradbox.boxes import as_boxes
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.localization import Sample
from gradbox.methods import ready
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate
from gradbox.runs.evaluation import Part, Protocol, prepare
from gradbox.runs.oddities import Blank, oddities, without_twins
from gradbox.scores.boxes import Scores
from gradbox.scores.units import units


def test_images_that_are_there_twice_are_named(discs: Path, card: Path, tmp_path: Path) -> None:
    shutil.copy(discs / "images" / "04.png", discs / "images" / "07.png")
    network = load_classifier(str(card), device="cpu")
    report = evaluate(load_dataset(f"csv:{discs}"), network, tmp_path / "out")
    assert report.metrics is not None
    assert report.metrics["problems"] == ["2 of 24 images there twice, such as 04.png = 07.png"]
    assert 0 <= report.metrics["pointing_game"] <= 1


def test_a_network_that_fails_everywhere_is_scored_as_nothing(
    discs: Path, card: Path, tmp_path: Path
) -> None:
    network = load_classifier(f"{card.parent}/network.py:build_nan", device="cpu")
    report = evaluate(load_dataset(f"csv:{discs}"), network, tmp_path / "out")
    assert report.metrics is not None
    assert (report.metrics["n_units"], report.metrics["corloc"]) == (0, None)
    assert len(report.failures) == 24
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_part_and_the_others_are_the_whole_set() -> None:
    samples = load_dataset("scenes:20,size=48").samples
    part = Part(shares=(0.3, 0.7), number=1, seed=3)
    chosen, others = part.of(samples), part.others(samples)
    assert len(chosen) == 6
    ids = sorted(s.image_id for s in [*chosen, *others])
    assert ids == sorted(s.image_id for s in samples)
    assert len(Part(limit=4).of(samples)) == 4
    assert Part(limit=4).about == {"split": [], "part": None, "seed": 0, "limit": 4}


def test_what_has_no_box_is_left_out_and_counted(discs: Path, card: Path) -> None:
    network = load_classifier(str(card), device="cpu")
    dataset = load_dataset(f"csv:{discs}")
    bare = [Sample(image_id="bare.png", source=np.zeros((8, 8, 3), dtype=np.uint8))]
    both = dataset.__class__(
        spec="x", samples=[*dataset.samples, *bare], class_names=("disc",), root=dataset.root
    )
    ours = prepare(Protocol(dataset=both), ready(FakeLocalizer(), None, network), network)
    assert (len(ours.samples), ours.n_without_unit) == (24, 1)
    assert ours.supervision == "none"
    given = Protocol(dataset=both, class_from="truth")
    assert prepare(given, ready("sensitivity", None, network), network).supervision == (
        "image labels"
    )


def test_a_method_that_needs_a_class_says_so(discs: Path, card: Path) -> None:
    network = load_classifier(str(card), device="cpu")
    protocol = Protocol(dataset=load_dataset(f"csv:{discs}"), class_from="none")
    with pytest.raises(UsageError, match="looks for a class: use --class-from truth or predicted"):
        prepare(protocol, ready("dam", None, network), network)


def test_twins_are_named_and_left_out(discs: Path) -> None:
    shutil.copy(discs / "images" / "00.png", discs / "images" / "05.png")
    samples = list(load_dataset(f"csv:{discs}").samples)
    scored, others = samples[:4], samples[4:8]
    assert [s.image_id for s in without_twins(others, scored)] == ["04.png", "06.png", "07.png"]
    (line,) = oddities(Blank(), 4, _hashes(scored).items, others)
    assert line.startswith("1 of 4 images of the other parts also among the scored ones")


def _hashes(samples: list[Sample]) -> dict[str, str]:
    from gradbox.images.batches import hash_source

    return {s.image_id: hash_source(s.source) for s in samples}


def test_by_hand_the_middle_half_of_a_disc_in_the_middle(card: Path) -> None:
    """A true box of 40 x 40 in 80 x 80, and the fake's middle half: an IoU of 1."""
    network = load_classifier(str(card), device="cpu")
    sample = Sample(
        image_id="a",
        source=np.zeros((80, 80, 3), dtype=np.uint8),
        boxes=as_boxes([[20, 20, 60, 60]]),
        labels=("disc",),
        size=(80, 80),
    )
    dataset = load_dataset("scenes:1,size=48")
    one = dataset.__class__(spec="x", samples=[sample], class_names=("disc",), root=dataset.root)
    evaluation = prepare(Protocol(dataset=one), ready(FakeLocalizer(), None, network), network)
    batch = gradbox.localize([sample.source], network, method=FakeLocalizer(0.5))
    (found,) = batch
    truth = evaluation.units_of(sample)
    scores = Scores.of(units(0, truth, found, evaluation.class_from, network.class_name))
    assert scores.ious.tolist() == [1.0]
