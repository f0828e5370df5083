import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from gradbox.errors import UsageError
from gradbox.models.load import load_classifier
from gradbox.training import folder
from gradbox.training.augment import Augmentation
from gradbox.training.labels import read_labels, split_by_class
from gradbox.training.network import new_network
from gradbox.training.records import Epoch, TrainingOptions
from gradbox.training.train import train

DRAW: dict[str, Callable[[np.ndarray, tuple[int, int]], None]] = {
    "disc": lambda canvas, at: cv2.circle(canvas, at, 8, (220, 60, 40), -1),
    "square": lambda canvas, at: cv2.rectangle(
        canvas, at, (at[0] + 12, at[1] + 12), (40, 90, 220), -1
    ),
    "cross": lambda canvas, at: cv2.drawMarker(canvas, at, (60, 200, 60), cv2.MARKER_CROSS, 16, 5),
}
QUICK = TrainingOptions(size=32, epochs=4, batch_size=16, lr=0.01)


def draw(label: str, seed: int) -> Image.Image:
    rng = np.random.default_rng([seed, len(label)])
    canvas = rng.integers(90, 150, (40, 40, 3), dtype=np.uint8)
    DRAW[label](canvas, tuple(int(v) for v in rng.integers(12, 28, 2)))
    return Image.fromarray(canvas)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 30 pictures of each of three classes."""
    root = tmp_path_factory.mktemp("shapes")
    for label in DRAW:
        (root / label).mkdir()
        for seed in range(30):
            draw(label, seed).save(root / label / f"{seed:02}.png")
    return root


@pytest.fixture(scope="module")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    train(str(shapes), out=out, options=QUICK, device="cpu")
    return out


def stop_after(number: int) -> Callable[[Epoch], None]:
    def interrupt(epoch: Epoch) -> None:
        if epoch.epoch == number:
            raise KeyboardInterrupt

    return interrupt


def test_it_learns_shapes_and_writes_what_it_says(shapes: Path, trained: Path) -> None:
    """Chance is 1/3; the classes differ in colour and shape, so nearly all can be right."""
    report = train(str(shapes), out=trained, options=QUICK, device="cpu")
    assert report.accuracy >= 0.9
    assert (report.n_train, report.n_validation) == (72, 18)  # 24 and 6 of each class's 30
    assert sum(report.per_class.values()) / 3 == pytest.approx(report.accuracy)  # 6 of each
    names = [
        "classes.txt",
        "log.jsonl",
        "model.safetensors",
        "model.toml",
        "report.html",
        "train.json",
    ]
    assert sorted(path.name for path in trained.iterdir()) == names
    modes = {(trained / name).stat().st_mode for name in names}
    assert len(modes) == 1  # whoever may read one may read all
    log = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in log] == [1, 2, 3, 4]
    assert set(log[0]) == set(Epoch.__dataclass_fields__)
    record = json.loads((trained / "train.json").read_text())
    assert record["command"].startswith(f"gradbox train {shapes} --out {trained} --arch small")


def test_the_card_is_a_model_and_new_pictures_are_recognized(trained: Path) -> None:
    """Seeds from 100 on are no picture of the training."""
    classifier = load_classifier(str(trained / "model.toml"), device="cpu")
    assert classifier.class_names == ("cross", "disc", "square")
    right = []
    for seed in range(100, 110):
        for index, label in enumerate(classifier.class_names):
            pixels, _ = classifier.preprocessing.resized(np.asarray(draw(label, seed)))
            logits = classifier.module(classifier.normalize(torch.from_numpy(pixels)[None]))
            right.append(int(logits.argmax()) == index)
    assert np.mean(right) >= 0.9


def test_weights_on_disk_are_float16_and_those_of_the_best_epoch(
    shapes: Path, tmp_path: Path
) -> None:
    """The logits of the card are those of the network that the checkpoint holds, rounded."""
    kept: list[dict[str, torch.Tensor]] = []

    def keep(_epoch: Epoch) -> None:
        saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        kept.append(saved["best_weights"])

    report = train(str(shapes), out=tmp_path, options=QUICK, device="cpu", on_epoch=keep)
    on_disk = load_file(tmp_path / "model.safetensors")
    assert all(t.dtype == torch.float16 for t in on_disk.values() if t.is_floating_point())
    best = kept[report.epoch - 1]
    module = new_network("small", 3, 32, None).module.eval()
    module.load_state_dict({name: tensor.half() for name, tensor in best.items()})
    images = torch.randn(2, 3, 32, 32)
    card = load_classifier(str(report.card), device="cpu", memory_format="contiguous")
    torch.testing.assert_close(card.module(images), module(images))


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(
    shapes: Path, trained: Path, tmp_path: Path
) -> None:
    train(str(shapes), out=tmp_path / "same", options=QUICK, device="cpu")
    train(str(shapes), out=tmp_path / "other", options=replace(QUICK, seed=1), device="cpu")
    weights = [(path / "model.safetensors").read_bytes() for path in
               (trained, tmp_path / "same", tmp_path / "other")]  # fmt: skip
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("number", [1, 3])
def test_interrupted_and_resumed_equals_uninterrupted(
    shapes: Path, trained: Path, tmp_path: Path, number: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(str(shapes), out=tmp_path, options=QUICK, device="cpu", on_epoch=stop_after(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt", "log.jsonl"]
    seen: list[int] = []
    torch.rand(7)  # what else was drawn in between does not matter
    train(
        str(shapes), out=tmp_path, options=QUICK, device="cpu",
        on_epoch=lambda epoch: seen.append(epoch.epoch),
    )  # fmt: skip
    assert seen == list(range(number + 1, 5))
    for name in ("model.safetensors", "model.toml", "classes.txt"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


@pytest.mark.parametrize("name", ["write_text", "whole_file", "write_json"])
def test_a_call_killed_at_any_write_leaves_what_an_undisturbed_one_leaves(
    name: str, shapes: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log and the checkpoint of the last epoch, and the record, are three files."""
    write, last, calls = getattr(folder, name), 1 if name == "write_json" else QUICK.epochs, []

    def kill_at_the_last(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == last:
            raise KeyboardInterrupt
        return write(*args)

    monkeypatch.setattr(folder, name, kill_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        train(str(shapes), out=tmp_path, options=QUICK, device="cpu")
    monkeypatch.undo()
    train(str(shapes), out=tmp_path, options=QUICK, device="cpu")
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left.keys() == {path.name for path in trained.iterdir()}
    assert left["model.safetensors"] == (trained / "model.safetensors").read_bytes()
    assert len(left["log.jsonl"].splitlines()) == QUICK.epochs


def test_a_call_killed_before_its_checkpoint_is_removed_is_tidied_by_the_next(
    shapes: Path, trained: Path
) -> None:
    (trained / "checkpoint.pt").write_bytes(b"whatever it was")
    train(str(shapes), out=trained, options=QUICK, device="cpu")
    assert not (trained / "checkpoint.pt").exists()


def test_another_call_is_refused_unless_overwrite(shapes: Path, tmp_path: Path) -> None:
    brief, other = replace(QUICK, epochs=1), replace(QUICK, epochs=2)
    train(str(shapes), out=tmp_path, options=brief, device="cpu")
    with pytest.raises(UsageError, match="another epochs"):
        train(str(shapes), out=tmp_path, options=other, device="cpu")
    report = train(str(shapes), out=tmp_path, options=other, device="cpu", overwrite=True)
    assert report.epochs == 2


def test_an_ended_call_trains_no_more(shapes: Path, trained: Path) -> None:
    def fail(_epoch: Epoch) -> None:
        raise AssertionError("trained again")

    first = train(str(shapes), out=trained, options=QUICK, device="cpu", on_epoch=fail)
    assert first == train(str(shapes), out=trained, options=QUICK, device="cpu", on_epoch=fail)


def test_training_ends_when_patience_does(shapes: Path, tmp_path: Path) -> None:
    """At a learning rate of 1e-9 nothing gets better, so two epochs follow the best one."""
    options = replace(QUICK, epochs=20, patience=2, lr=1e-9)
    report = train(str(shapes), out=tmp_path, options=options, device="cpu")
    assert report.epochs == report.epoch + 2 < 20


def test_the_random_numbers_of_the_caller_are_untouched(shapes: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(str(shapes), out=tmp_path, options=replace(QUICK, epochs=1), device="cpu")
    assert torch.rand(1) == expected


def test_boxes_are_never_read(shapes: Path, tmp_path: Path) -> None:
    """A `boxes.csv` that the data set's loader refuses does not matter."""
    shutil.copytree(shapes, tmp_path / "images")
    images = sorted((tmp_path / "images").rglob("*.png"))
    lines = [f"{p.relative_to(tmp_path / 'images').as_posix()},{p.parent.name}\n" for p in images]
    (tmp_path / "meta.csv").write_text("image,label\n" + "".join(lines))
    (tmp_path / "boxes.csv").write_bytes(b"\xff broken")
    found = read_labels(f"csv:{tmp_path}")
    assert [one.labels for one in found] == [(path.parent.name,) for path in images]
    assert all(len(one.sample.boxes) == 0 and one.sample.source == path
               for one, path in zip(found, images, strict=True))  # fmt: skip


def test_a_labels_file_names_paths_beside_it(shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "disc", tmp_path / "a")
    (tmp_path / "labels.csv").write_text("label,image\nround,a/01.png\n,a/02.png\nflat,a/03.png\n")
    found = read_labels(str(tmp_path / "labels.csv"))
    labels = {"a/01.png": ("round",), "a/02.png": (), "a/03.png": ("flat",)}
    assert {one.image_id: one.labels for one in found} == labels
    assert found[0].sample.source == tmp_path / "a/01.png"


def test_each_class_is_divided_alike_and_by_the_ids_alone(shapes: Path) -> None:
    """A fifth of 30 is 6 of each class; reversing the images does not move one."""
    samples = read_labels(str(shapes))
    training, validation = split_by_class(samples, 0.2, seed=5)
    assert sorted([*training, *validation]) == list(range(90))
    assert [sum(samples[i].labels == (c,) for i in validation) for c in DRAW] == [6, 6, 6]
    backwards = list(reversed(samples))
    again = {backwards[i].image_id for i in split_by_class(backwards, 0.2, seed=5)[1]}
    assert again == {samples[i].image_id for i in validation}
    assert set(split_by_class(samples, 0.2, seed=6)[1]) != set(validation)


def test_an_unreadable_image_is_skipped_and_named(shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes, tmp_path / "data")
    (tmp_path / "data/disc/00.png").write_bytes(b"no image")
    options = replace(QUICK, epochs=1)
    report = train(str(tmp_path / "data"), out=tmp_path / "out", options=options, device="cpu")
    assert len(report.skipped) == 1
    assert report.skipped[0].startswith("disc/00.png: ")
    assert report.n_train + report.n_validation == 89


def test_a_class_without_a_usable_image_is_refused(shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes, tmp_path / "data")
    for path in (tmp_path / "data/disc").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(UsageError, match="class 'disc' can be used, for instance disc/"):
        train(str(tmp_path / "data"), out=tmp_path / "out", options=QUICK, device="cpu")


@pytest.mark.parametrize("epochs", [1, 2, 5])
def test_a_training_of_very_few_steps_ends_well(tmp_path: Path, epochs: int) -> None:
    """Two pictures of two classes: one to train with each, so there is one step an epoch."""
    for label in ("disc", "cross"):
        (tmp_path / label).mkdir()
        for seed in range(2):
            draw(label, seed).save(tmp_path / label / f"{seed}.png")
    options = replace(QUICK, epochs=epochs)
    report = train(str(tmp_path), out=tmp_path / ".out", options=options, device="cpu")
    assert (report.n_train, report.n_validation, report.epochs) == (2, 2, epochs)


def test_one_class_is_refused(shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "disc", tmp_path / "data/disc")
    with pytest.raises(UsageError, match="two or more"):
        train(str(tmp_path / "data"), out=tmp_path / "out", options=QUICK, device="cpu")


@pytest.mark.parametrize(
    ("arch", "hint"),
    [("smal", "small"), ("resnet18", "torchvision/resnet18"), ("torchvision/resnet17", "resnet1")],
)
def test_an_unknown_arch_names_the_nearest(arch: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean .*{hint}"):
        new_network(arch, 3, None, "untrained")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("voc:DIR@2007/test", "write a folder"),
        ("nowhere", "write a folder"),
        ("folder:/none", "no folder"),
    ],
)
def test_a_source_without_image_labels_is_refused(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        read_labels(text)


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batch_size": 1}, {"lr": 0.0}, {"validation": 1.0}, {"seed": -1}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TrainingOptions(**wrong)  # type: ignore[arg-type]


def test_fine_tuning_keeps_all_but_the_head_and_freeze_trains_only_it(
    shapes: Path, trained: Path, tmp_path: Path
) -> None:
    """From three classes to two: every frozen weight is the one on disk, the head is new."""
    for label in ("disc", "cross"):
        shutil.copytree(shapes / label, tmp_path / "data" / label)
    options = replace(QUICK, epochs=1, freeze=True, weights=str(trained / "model.safetensors"))
    train(str(tmp_path / "data"), out=tmp_path / "out", options=options, device="cpu")
    before = load_file(trained / "model.safetensors")
    after = load_file(tmp_path / "out/model.safetensors")
    for name in before:
        if name.startswith("head"):
            assert after[name].shape != before[name].shape
        else:
            torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)


def test_weights_of_another_network_are_refused(trained: Path) -> None:
    with pytest.raises(UsageError, match="another network"):
        new_network("torchvision/squeezenet1_1", 3, 64, str(trained / "model.safetensors"))


def test_a_torchvision_network_is_trained_and_its_card_loads(shapes: Path, tmp_path: Path) -> None:
    """GoogLeNet has auxiliary outputs in training mode; none may be left in the card's network."""
    options = replace(
        QUICK, arch="torchvision/googlenet", size=64, epochs=1, weights="untrained", batch_size=36
    )
    report = train(str(shapes), out=tmp_path, options=options, device="cpu")
    classifier = load_classifier(str(report.card), device="cpu")
    assert classifier.preprocessing.size == (64, 64)
    assert classifier.module(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_augmentation_keeps_a_constant_image_constant_and_draws_for_each_image() -> None:
    """Crop and flip of one colour are that colour; brightness changes it, in each image anew."""
    grey = torch.full((8, 3, 16, 16), 100, dtype=torch.uint8)
    changed = Augmentation()(grey)
    assert (changed == changed[:, :, :1, :1]).all()
    assert len(changed[:, 0, 0, 0].unique()) > 4
    assert changed.min() >= 70  # 100 * (1 - 0.3)
    assert changed.max() <= 130  # 100 * (1 + 0.3)
    assert (Augmentation(colour=0.0)(grey) == 100).all()


def test_a_crop_without_zoom_is_the_image_or_its_mirror() -> None:
    images = torch.randint(256, (16, 3, 8, 8), dtype=torch.uint8)
    changed = Augmentation(zoom=1.0, stretch=0.0, colour=0.0)(images)
    same = (changed == images).flatten(1).all(dim=1)
    mirrored = (changed == images.flip(3)).flatten(1).all(dim=1)
    assert (same | mirrored).all()
    assert same.any()  # by chance none in 1 of 65,536 runs
    assert mirrored.any()
