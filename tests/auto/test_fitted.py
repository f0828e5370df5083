"""The file of `gradbox fit`: what it keeps, what it refuses, and what it does as a method."""

from dataclasses import replace
from pathlib import Path

import heads
import numpy as np
import pytest
import torch
from map_examples import undecided
from safetensors.numpy import load_file

import gradbox
from gradbox.auto.confidence import shipped
from gradbox.auto.evidence import FEATURES
from gradbox.auto.fitted import Fitted, Origin, Rung
from gradbox.auto.method import Auto
from gradbox.auto.settings import Settings, Tuned
from gradbox.datasets import load_dataset, scenes
from gradbox.errors import UsageError
from gradbox.foreground.fitted_head import FITTED
from gradbox.foreground.last_layer import LastLayer
from gradbox.methods import ready, to_method
from gradbox.models.classifier import Classifier
from gradbox.models.load import SCENES, load_classifier

COLUMNS = 2 * len(FEATURES)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier(SCENES, device="cpu")


def fitted(classifier: Classifier, **changed: object) -> Fitted:
    """Settings and numbers that nothing has learned."""
    weights = tuple(np.linspace(-1, 1, COLUMNS).tolist())
    two = (Settings(share=0.3), Settings(share=0.6, sigma=2.0))
    chosen = Tuned(
        settings=two, confidence=undecided(), choice=replace(undecided(), weights=weights)
    )
    origin = Origin(
        method="auto",
        model=classifier.name,
        model_hash=classifier.weights_hash,
        head_hash=None,
        preprocessing=str(classifier.preprocessing),
        image_labels=False,
        n_images=2,
        n_boxes=3,
    )
    rungs = (Rung(name="as it is", corloc=0.1, mean_iou=0.2, calibration_error=0.3),)
    made = Fitted(
        tuned=chosen,
        last_layer=None,
        rungs=rungs,
        origin=origin,
        image_hashes=frozenset({f"{1:064x}", f"{2:064x}"}),
    )
    return replace(made, **changed)


def test_a_file_gives_back_what_was_saved(tmp_path: Path, classifier: Classifier) -> None:
    layer = LastLayer.of_head(heads.untrained())
    made = fitted(classifier, last_layer=layer)
    made.save(tmp_path / "a.safetensors")
    found = Fitted.load(tmp_path / "a.safetensors")
    assert (found.tuned, found.rungs, found.origin) == (made.tuned, made.rungs, made.origin)
    assert found.image_hashes == made.image_hashes
    assert found.last_layer is not None
    assert (found.last_layer.weight == layer.weight).all()
    assert found.sha256 == made.sha256 != fitted(classifier).sha256
    assert found.seen == made.seen
    assert found.seen.what == "3 boxes"


def test_damaged_files_are_one_line_each(tmp_path: Path, classifier: Classifier) -> None:
    file = tmp_path / "a.safetensors"
    fitted(classifier).save(file)
    whole = file.read_bytes()
    for cut in (0, 7, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:cut])
        with pytest.raises(UsageError, match="is not a whole safetensors file"):
            Fitted.load(file)
    for was, now in (
        (b"-1.0", b"-1.5"),  # a number changed: the hash says so
        (b"n_boxes", b"n_foxes"),
        (b"settings", b"settimgs"),
        (b"image_hashes", b"image_hushes"),
    ):
        file.write_bytes(whole.replace(was, now, 1))
        with pytest.raises(UsageError, match=r"is a damaged fit of auto .*: make it again"):
            Fitted.load(file)
    with pytest.raises(UsageError, match=r"there is no file .*: make one with `gradbox fit"):
        Fitted.load(tmp_path / "none")


def test_files_of_another_kind_are_told_apart(tmp_path: Path, classifier: Classifier) -> None:
    head = tmp_path / "head.safetensors"
    heads.untrained().save(head)
    with pytest.raises(UsageError, match="is not a fit of auto: `gradbox fit DATASET` writes"):
        Fitted.load(head)
    file = tmp_path / "a.safetensors"
    fitted(classifier).save(file)
    assert set(load_file(file)) == {"image_hashes"}
    with pytest.raises(UsageError, match=r"is a damaged fit of auto .*it has no last layer"):
        to_method(f"foreground(last='{file}')").seen  # noqa: B018 - it loads the file


def test_what_the_file_has_is_not_given_again(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="share, sigma given beside fitted=a, which has its own"):
        to_method("auto(share=0.5, sigma=2, fitted=a)")


def test_another_classifier_or_head_is_refused(tmp_path: Path, classifier: Classifier) -> None:
    file = tmp_path / "a.safetensors"
    made = fitted(classifier)
    other = replace(made.origin, model_hash="0", model="another")
    replace(made, origin=other).save(file)
    method = Auto(foreground=False, fitted=str(file))
    with pytest.raises(UsageError, match="fitted with another, whose weights have the hash 0, not"):
        method.build(classifier)
    replace(made, origin=replace(made.origin, preprocessing="a stamp")).save(file)
    with pytest.raises(UsageError, match="fitted on inputs of a stamp, not"):
        replace(method).build(classifier)
    replace(made, origin=replace(made.origin, head_hash="abc")).save(file)
    with pytest.raises(UsageError, match="the foreground head of the hash abc, not no foreground"):
        replace(method).build(classifier)


@pytest.mark.slow
def test_its_settings_are_used_and_the_choice_takes_one_of_them(
    tmp_path: Path, classifier: Classifier
) -> None:
    """With one setting as `auto` itself with it; with two each image has the boxes of one."""
    file = tmp_path / "a.safetensors"
    images = [sample.source for sample in load_dataset("scenes:3,seed=5,size=64").samples]
    made = fitted(classifier)
    single = Tuned(settings=made.tuned.settings[1:], confidence=shipped("strict"))

    def boxes(method: Auto) -> list[list[float]]:
        found = gradbox.localize(images, classifier, method=method)
        return [one.boxes.tolist() for one in found]

    replace(made, tuned=single).save(file)
    alone = Auto(foreground=False, share=0.6, sigma=2.0, closer=0.0)
    assert boxes(Auto(foreground=False, fitted=str(file), closer=0.0)) == boxes(alone)
    made.save(file)
    several = boxes(Auto(foreground=False, fitted=str(file), closer=0.0))
    ways = [boxes(Auto(foreground=False, share=0.3, closer=0.0)), boxes(alone)]
    assert all(one in of_image for one, *of_image in zip(several, *ways, strict=True))


def test_its_stamp_is_its_boxes_and_those_of_the_head(
    tmp_path: Path, classifier: Classifier
) -> None:
    file, head = tmp_path / "a.safetensors", heads.untrained()
    head.save(tmp_path / "head.safetensors")
    known = replace(fitted(classifier).origin, head_hash=_hash_of(tmp_path / "head.safetensors"))
    layer = LastLayer.of_head(head)
    fitted(classifier, origin=known, last_layer=layer).save(file)
    method = ready(
        f"auto(foreground=true, head='{tmp_path / 'head.safetensors'}', fitted='{file}')",
        None,
        classifier,
    )
    assert method.supervision(given_labels=False) == "foreground head: 2 boxed photographs, 3 boxes"
    assert "image labels" in method.supervision(given_labels=True)


def _hash_of(file: Path) -> str | None:
    head = Auto(foreground=True, head=str(file)).usual_head
    return None if head is None else head.seen.sha256


def test_a_last_layer_takes_the_place_of_the_heads(tmp_path: Path) -> None:
    """P of the whole head with it is that of what the layer reads, and without it another one."""
    head = heads.untrained()
    layer = LastLayer(weight=-LastLayer.of_head(head).weight, bias=np.ones(1, dtype=np.float32))
    usual, changed = head.on("cpu"), layer.in_place(head).on("cpu")
    pixels = heads.pixels()
    with torch.no_grad():
        mine = layer.logits(usual.before_last(pixels)).sigmoid()
    assert mine.numpy() == pytest.approx(changed.of(pixels).numpy(), abs=1e-6)
    assert abs(mine - usual.of(pixels)).max() > 0.01
    narrow = LastLayer(weight=layer.weight[:, :8], bias=layer.bias)
    with pytest.raises(ValueError, match="a last layer of"):
        narrow.in_place(head)


def test_a_last_layer_learns_boxes() -> None:
    """What it reads holds the answer in one channel: it comes nearer to it, and to no other."""
    rng = np.random.default_rng(0)
    boxes = [np.array([[0.25, 0.25, 0.75, 0.75]]), np.array([[0.0, 0.5, 0.5, 1.0]])]
    read = rng.normal(size=(2, 8, 8, 8)).astype(np.float32)
    read[0, 3, 2:6, 2:6] += 4
    read[1, 3, 4:, :4] += 4
    start = LastLayer(weight=np.zeros((1, 8, 3, 3), np.float32), bias=np.zeros(1, np.float32))
    taught = start.taught([torch.from_numpy(read)], boxes)
    p = taught.logits(torch.from_numpy(read)).sigmoid().numpy()
    assert p[0, 3:5, 3:5].min() > p[0, 0].max()
    assert p[1, 5:7, 1:3].min() > p[1, 0].max()
    assert np.abs(taught.weight).sum(axis=(0, 2, 3)).argmax() == 3


@pytest.mark.slow
def test_images_of_the_fit_are_not_scored(tmp_path: Path, classifier: Classifier) -> None:
    drawn = tmp_path / "drawn"
    scenes.write(drawn, 12, seed=3, size=(64, 64))
    data, file = load_dataset(f"csv:{drawn}"), tmp_path / "a.safetensors"
    found = gradbox.fit(data, classifier, file, method="auto(foreground=false)")
    assert isinstance(found, Fitted)
    assert found.origin.n_images == 12
    assert FITTED.load(file)[1]["format"] == "gradbox.fitted"
    again = f"auto(foreground=false, fitted='{file}')"
    with pytest.raises(UsageError, match="was fitted on 12 of these images"):
        gradbox.evaluate(
            data,
            classifier,
            tmp_path / "o",
            method=again,
        )
    with pytest.raises(UsageError, match="is fitted already: leave `fitted` out"):
        gradbox.fit(
            data, classifier, tmp_path / "b", method=f"auto(foreground=false, fitted='{file}')"
        )
    with pytest.raises(UsageError, match="box auto is for the method auto, not sensitivity"):
        gradbox.fit(data, classifier, tmp_path / "b", method="sensitivity", box="auto")
