"""The command line as a user meets it: real files, exit codes, one clear line for a mistake."""

import errno
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import run
from PIL import Image

from gradbox.images.decode import load_rgb


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(text) for text in path.read_text("utf-8").splitlines()]


def test_locate_without_a_folder_shows_a_row_for_each_box(
    photos: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.png").write_bytes(b"not an image")
    assert run("locate", photos, "--model", card, "--top", "2", "--method", "gradcam") == 1
    said = capsys.readouterr()
    head, *rows = said.out.splitlines()
    assert head.split() == [
        "image",
        "class",
        "probability",
        *("xmin", "ymin", "xmax", "ymax"),
        "score",
    ]
    assert [row.split()[0] for row in rows] == ["a.png"] * 2 + ["b.jpg"] * 2
    assert {row.split()[1] for row in rows} <= {"disc", "bar", "cross"}
    assert "broken.png: this is no image" in said.err
    assert "--out DIR" in said.err


def test_locate_without_a_folder_gives_a_line_of_json_an_image(
    photos: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("locate", photos, "--model", card, "--json") == 0
    said = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert run("locate", photos, "--model", card, "--out", tmp_path / "out", "--quiet") == 0
    assert said == lines(tmp_path / "out" / "predictions.jsonl")


def test_locate_shows_where_a_picture_was_written(
    photos: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("locate", photos / "a.png", "--model", card, "--show") == 0
    (picture,) = re.findall(r"picture: (\S+)", capsys.readouterr().err)
    with Image.open(picture) as image:
        assert min(image.size) > 300


@pytest.mark.parametrize(
    "options",
    [
        ("--pictures",),
        ("--format", "coco"),
        ("--masks",),
        ("--save-maps", "maps"),
        ("--overwrite",),
        ("--verify",),
        ("--retry",),
        ("--quiet",),
    ],
)
def test_what_writes_files_needs_a_folder(
    options: tuple[str, ...], photos: Path, card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("locate", photos, "--model", card, *options) == 2
    assert f"{options[0]} needs a folder for the results: --out DIR" in capsys.readouterr().err


def test_show_is_for_a_call_without_a_folder(photos: Path, card: Path, tmp_path: Path) -> None:
    assert run("locate", photos, "--model", card, "--show", "--out", tmp_path / "out") == 2
    assert not (tmp_path / "out").exists()


def test_locate_ends_with_the_classes_and_the_reasons(
    photos: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.png", "y.png"):
        (photos / name).write_bytes(b"")
    call = ("locate", photos, "--model", card, "--method", "gradcam", "--out", tmp_path / "out")
    assert run(*call) == 1
    said = capsys.readouterr()
    assert "boxes in 2 images" in said.out
    assert "2 images failed: " in said.out
    assert run(*call, "--quiet") == 1
    assert capsys.readouterr().out == ""
    assert run(*call, "--json") == 1
    facts = json.loads(capsys.readouterr().out)
    assert (facts["images"], sorted(facts["failures"])) == (4, ["x.png", "y.png"])
    assert sum(one["boxes"] for one in facts["classes"].values()) == 2


def test_a_full_disk_is_one_line_and_keeps_what_was_done(
    photos: Path,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second part cannot be written; the first one is kept and the same call ends the run."""
    call = ("locate", photos, "--model", card, "--out", tmp_path / "out", "--batch-size", 1)
    write, calls = Path.write_bytes, iter(range(9))

    def full(path: Path, data: bytes) -> int:
        if path.parent.name == "parts" and next(calls) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, data)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        assert run(*call) == 2
    assert "No space left on device; what was done is kept" in capsys.readouterr().err
    assert len(list((tmp_path / "out" / "parts").glob("*.jsonl"))) == 1
    assert run(*call) == 0
    assert [line["image"] for line in lines(tmp_path / "out" / "predictions.jsonl")] == [
        "a.png",
        "b.jpg",
    ]


def test_a_file_that_ends_too_early_is_no_ctrl_c(
    photos: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = card.parent / "network.py"
    network.write_text(network.read_text() + "\nraise EOFError('no data left')\n")
    assert run("locate", photos, "--model", card, "--out", tmp_path / "out") == 2
    assert "stopped" not in capsys.readouterr().err


def test_locate_writes_one_line_an_image_in_the_stated_form(
    photos: Path, card: Path, tmp_path: Path
) -> None:
    call = ("locate", photos, "--model", card, "--method", "gradcam", "--out", tmp_path / "out")
    assert run(*call, "--pictures") == 0
    first, second = lines(tmp_path / "out" / "predictions.jsonl")
    assert (first["image"], first["width"], first["height"]) == ("a.png", 90, 60)
    assert second["image"] == "b.jpg"
    for line in (first, second):
        keys = ("boxes", "labels", "names", "label_scores", "scores")
        assert [len(line[key]) for key in keys] == [1] * 5  # type: ignore[arg-type]
        (box,) = line["boxes"]  # type: ignore[misc]
        assert 0 <= box[0] < box[2] <= line["width"]  # type: ignore[operator]
        assert 0 <= box[1] < box[3] <= line["height"]  # type: ignore[operator]
    run_json = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run_json["supervision"] == "none"
    assert run_json["finished"] is True
    assert len(run_json["call"]["weights_hash"]) == 64
    pictures = [tmp_path / "out" / "pictures" / f"{name}.jpg" for name in ("a.png", "b.jpg")]
    assert all(load_rgb(picture).shape[1] > 100 for picture in pictures)


def test_labels_and_top_say_which_classes_are_located(
    photos: Path, card: Path, tmp_path: Path
) -> None:
    common = ("locate", photos, "--model", card, "--method", "gradcam")
    assert run(*common, "--label", "cross", "--label", "0", "--out", tmp_path / "x") == 0
    assert [row["labels"] for row in lines(tmp_path / "x" / "predictions.jsonl")] == [[2, 0]] * 2
    assert run(*common, "--top", 3, "--out", tmp_path / "y") == 0
    for row in lines(tmp_path / "y" / "predictions.jsonl"):
        assert sorted(row["labels"]) == [0, 1, 2]  # type: ignore[type-var]
        assert row["label_scores"] == sorted(row["label_scores"], reverse=True)  # type: ignore[type-var]


def test_the_attention_map_knows_no_class(photos: Path, card: Path, tmp_path: Path) -> None:
    method = "sensitivity(target=layer_mean, reduce=max)"
    call = ("locate", photos, "--model", card, "--method", method, "--out", tmp_path / "out")
    assert run(*call) == 0
    for row in lines(tmp_path / "out" / "predictions.jsonl"):
        assert (row["labels"], row["label_scores"]) == ([None], [1.0])


BAD_IMAGES = {
    "truncated.jpg": "truncated",
    "empty.png": "empty",
    "text.jpg": "not an image",
    "bomb.png": "pixels",
}


def bad_images(folder: Path) -> None:
    whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (80, 80, 3)))[
        1
    ].tobytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("this is text")
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")


def test_bad_images_are_reported_and_the_others_done(
    photos: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad_images(photos)
    Image.new("RGB", (1, 1), (9, 9, 9)).save(photos / "one_pixel.png")
    Image.new("RGB", (20_000, 1), (250, 250, 250)).save(photos / "strip.png")
    assert run("locate", photos, "--model", card, "--out", tmp_path / "out") == 1
    rows = {str(row["image"]): row for row in lines(tmp_path / "out" / "predictions.jsonl")}
    assert {name for name, row in rows.items() if "error" in row} == set(BAD_IMAGES)
    assert len(rows) == 8
    assert rows["one_pixel.png"]["blank"] is True
    assert (rows["strip.png"]["width"], rows["strip.png"]["height"]) == (20_000, 1)
    said = capsys.readouterr().err
    for name in BAD_IMAGES:
        assert len(re.findall(f"gradbox: {name}: .+", said)) == 1
    assert not list((tmp_path / "out").glob("*.partial"))


def test_a_missing_image_of_a_data_set_is_one_failed_line(
    discs: Path, card: Path, tmp_path: Path
) -> None:
    (discs / "images" / "03.png").unlink()
    call = ("evaluate", f"csv:{discs}", "--model", card, "--method", "sensitivity")
    assert run(*call, "--out", tmp_path / "out") == 1
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["n_failed"], metrics["n_images"]) == (1, 23)


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = [t for t in capsys.readouterr().err.splitlines() if t.startswith("gradbox: ")]
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{photos}/nowhere", "--model", "{card}"], "nowhere"),
        (["{empty}", "--model", "{card}"], "no image"),
        (["{photos}", "--model", "{photos}/none.toml"], "no such model card"),
        (["{photos}", "--model", "resnet50"], "torchvision/NAME"),
        (["{photos}", "--model", "torchvision/resnet5"], "did you mean resnet5"),
        (["{photos}", "--model", "{card}", "--label", "crss"], "did you mean cross"),
        (["{photos}", "--model", "{card}", "--method", "sensitivty"], "did you mean sensitivity"),
        (["{photos}", "--model", "{card}", "--box", "mass(flor=0.1)"], "did you mean floor"),
        (["{photos}", "--model", "{card}", "--box", "ridge(grid=14)"], "gradbox fit"),
        (["{photos}", "--model", "{card}", "--layer", "7"], "has no layer '7'"),
        (["{photos}", "--model", "{card}", "--device", "gpu"], "cpu, cuda"),
        (["{photos}", "--model", "{card}", "--weights", "{photos}/a.png"], "cannot be read"),
        (["{photos}", "--model", "{card}", "--format", "cocoo"], "coco"),
    ],
)
def test_a_wrong_call_is_one_line_and_leaves_nothing(
    words: list[str],
    said: str,
    photos: Path,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"photos": photos, "card": card, "empty": tmp_path / "empty"}
    layered = ["--method", "sensitivity(target=layer_mean)"] if "--layer" in words else []
    filled = [word.format(**places) for word in words]
    assert run("locate", *filled, *layered, "--out", tmp_path / "out") == 2
    assert said in complaint(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("image,width,height,class,xmin,ymin,xmax\n00.png,100,80,disc,1,2,3\n", "ymax"),
        (
            "image,width,height,class,xmin,ymin,xmax,ymax\n00.png,100,80,disc,1,2,300,50\n",
            "outside",
        ),
        ("image,width,height,class,xmin,ymin,xmax,ymax\n00.png,100,80,disc,50,2,30,50\n", "xm"),
    ],
)
def test_a_broken_table_of_boxes_is_one_line(
    text: str,
    said: str,
    discs: Path,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (discs / "boxes.csv").write_text(text)
    assert run("evaluate", f"csv:{discs}", "--model", card, "--out", tmp_path / "out") == 2
    assert said in complaint(capsys)
    assert not (tmp_path / "out").exists()


def test_a_network_that_returns_nan_fails_each_image(
    photos: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = f"{card.parent}/network.py:build_nan"
    assert run("locate", photos, "--model", model, "--out", tmp_path / "out") == 1
    assert "NaN" in str(lines(tmp_path / "out" / "predictions.jsonl")[0]["error"])
    assert capsys.readouterr().err.count("NaN") == 2


def test_an_unknown_class_of_the_data_set_is_named_for_truth(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = (discs / "boxes.csv").read_text().replace("disc", "dics")
    (discs / "boxes.csv").write_text(table)
    call = ("evaluate", f"csv:{discs}", "--model", card, "--method", "sensitivity")
    call = (*call, "--out", tmp_path / "out")
    assert run(*call, "--class-from", "truth") == 2
    assert "'dics' (did you mean disc?)" in complaint(capsys)
    assert run(*call, "--class-from", "predicted") == 0


def test_the_same_call_goes_on_and_another_is_refused(
    photos: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("locate", photos, "--model", card, "--out", tmp_path / "out")
    assert run(*call) == 0
    before = (tmp_path / "out" / "predictions.jsonl").read_bytes()
    assert run(*call) == 0
    assert (tmp_path / "out" / "predictions.jsonl").read_bytes() == before
    capsys.readouterr()
    assert run(*call, "--box", "whole") == 2
    assert "--overwrite" in complaint(capsys)
    assert run(*call, "--box", "whole", "--overwrite") == 0
    boxes = [row["boxes"] for row in lines(tmp_path / "out" / "predictions.jsonl")]
    assert boxes == [[[0, 0, 90, 60]], [[0, 0, 80, 120]]]


def test_two_boxes_for_a_split_are_fitted_on_one_part_and_scored_on_the_other(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "box.safetensors"
    common = (f"csv:{discs}", "--model", card, "--split", "0.5/0.5")
    first = ("--method", "sensitivity")
    fitted = ("--box", "ridge(grid=4)", "--out", file)
    assert run("fit", *common, *first, "--part", 1, *fitted) == 0
    out = tmp_path / "scores"
    used = ("--box", f"ridge({file})", "--out", out)
    assert run("evaluate", *common, *first, "--part", 2, *used) == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["supervision"], metrics["n_images"]) == ("12 boxes", 12)
    assert metrics["baselines"]["center(mean)"]["oracle"] is False
    capsys.readouterr()
    assert run("evaluate", *common, *first, "--part", 1, *used, "--overwrite") == 2
    assert "fitted on 12 of these images" in complaint(capsys)
    other = ("--method", "sensitivity(reduce=max)")
    assert run("evaluate", *common, "--part", 2, *used, *other, "--overwrite") == 2
    assert "reduce=mean" in complaint(capsys)


def test_saved_maps_are_the_maps(discs: Path, card: Path, tmp_path: Path) -> None:
    import gradbox

    call = ("evaluate", f"csv:{discs}", "--model", card, "--method", "sensitivity")
    assert run(*call, "--out", tmp_path / "out", "--save-maps", tmp_path / "maps") == 0
    store = gradbox.open_maps(tmp_path / "maps")
    image = discs / "images" / "05.png"
    classifier = gradbox.load_classifier(str(card), device="cpu")
    (found,) = gradbox.localize([image], classifier, method="sensitivity", details=True)
    assert isinstance(found, gradbox.Localization)
    assert found.heatmap is not None
    # float16 with the maximum at 1 keeps 11 bits
    np.testing.assert_allclose(store["05.png"], found.heatmap, atol=found.heatmap.max() / 1000)
    assert len(store) == 24


@pytest.mark.parametrize(
    "what", [[], ["methods"], ["boxes"], ["datasets"], ["formats"], ["models"]]
)
def test_list_names_what_there_is(what: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", *what) == 0
    assert capsys.readouterr().out.strip()


def test_list_layers_ends_with_the_one_that_is_taken(
    card: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", "layers", "--model", card) == 0
    assert re.search(r"3\s+8 x 32 x 32\s*$", capsys.readouterr().out)


@pytest.mark.parametrize("command", ["locate", "evaluate", "fit", "list", "train", "scenes"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_ctrl_c_keeps_what_was_done(discs: Path, card: Path, tmp_path: Path) -> None:
    """A network that interrupts itself after two batches; the same call then does the rest."""
    (card.parent / "network.py").write_text(
        (card.parent / "network.py").read_text()
        + """

class Interrupting(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.calls = build(), 0

    def forward(self, x):
        from pathlib import Path
        self.calls += 1
        if self.calls == 3 and not (Path(__file__).parent / "go").exists():
            raise KeyboardInterrupt
        return self.inner(x)


def build_interrupting():
    return Interrupting()
"""
    )
    out = tmp_path / "out"
    model = f"{card.parent}/network.py:build_interrupting"
    call = ["evaluate", f"csv:{discs}", "--model", model, "--batch-size", "5", "--out", str(out)]
    call += ["--method", "sensitivity"]
    stopped = subprocess.run(
        [sys.executable, "-c", "from gradbox.cli import main; main()", *call],
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 130, stopped.stderr
    assert "what was done is kept" in stopped.stderr
    assert not (out / "predictions.jsonl").exists()
    assert sum(len(lines(part)) - 1 for part in (out / "parts").iterdir()) == 10
    (out / "parts" / "0000099.jsonl").write_text('{"image": "torn')
    (card.parent / "go").touch()
    assert run(*call) == 0
    names = [row["image"] for row in lines(out / "predictions.jsonl")]
    assert names == [f"{i:02}.png" for i in range(24)]
    assert len((out / "images.sha256").read_text().splitlines()) == 24


@pytest.mark.slow
def test_scenes_are_drawn_trained_on_located_and_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way of a user without a classifier: pictures, train, locate, evaluate."""
    pictures, model = tmp_path / "scenes", tmp_path / "model"
    assert run("scenes", 45, "--size", 64, "--out", pictures) == 0
    assert run("scenes", 45, "--size", 64, "--out", pictures) == 2
    trained = ("train", f"csv:{pictures}", "--size", 48, "--epochs", 2, "--out", model)
    assert run(*trained) == 0
    common = ("--model", model / "model.toml")
    assert run("locate", pictures / "images", *common, "--out", tmp_path / "boxes") == 0
    scores = ("--class-from", "truth", "--out", tmp_path / "scores")
    assert run("evaluate", f"csv:{pictures}", *common, *scores) == 0
    assert "masks of 45 images" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "scores" / "metrics.json").read_text())
    assert metrics["n_units"] == 45
    # scenes spread their objects, so that the centre is a poor answer
    assert metrics["baselines"]["center(0.8)"]["corloc"] < 0.25


@pytest.mark.slow
def test_maps_and_pictures_asked_for_later_are_added(
    discs: Path, card: Path, tmp_path: Path
) -> None:
    import gradbox

    out, maps = tmp_path / "out", tmp_path / "maps"
    call = ("evaluate", f"csv:{discs}", "--model", card, "--out", out)
    assert run(*call) == 0
    before = (out / "predictions.jsonl").read_bytes()
    assert run(*call, "--save-maps", maps, "--pictures") == 0
    assert (out / "predictions.jsonl").read_bytes() == before
    assert gradbox.open_maps(maps)["07.png"].max() > 0
    assert len(list((out / "pictures").iterdir())) == 24


def test_an_image_that_failed_has_no_map(discs: Path, card: Path, tmp_path: Path) -> None:
    import gradbox

    (discs / "images" / "07.png").write_bytes(b"")
    call = ("evaluate", f"csv:{discs}", "--model", card, "--out", tmp_path / "out")
    assert run(*call, "--method", "sensitivity", "--save-maps", tmp_path / "maps") == 1
    with pytest.raises(KeyError, match="no map"):
        gradbox.open_maps(tmp_path / "maps")["07.png"]


def test_compare_refuses_a_wrong_run_before_it_writes(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("compare", f"csv:{discs}", "--model", card, "--out", tmp_path / "out")
    assert run(*call, "--run", "sensitivity | mass", "--run", "dam(abstain=0.5) | mass") == 2
    assert "boxes that dam makes itself" in complaint(capsys)
    assert not (tmp_path / "out").exists()


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run("--version") == 0
    assert capsys.readouterr().out.strip() == f"gradbox {version('gradbox')}"


def test_a_regressor_is_refused_on_maps_of_another_layer_and_says_how_it_is_used(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my box, new.safetensors"
    common = (f"csv:{discs}", "--model", card, "--split", "0.5/0.5", "--method")
    maps = (*common, "sensitivity(target=layer_mean)")
    layer = ("--layer", "0")
    assert run("fit", *maps, "--part", 1, *layer, "--out", file) == 0
    said = capsys.readouterr().out.replace("\n", "")
    (use,) = re.findall(r"--box ('.*') and", said)
    scored = (
        "evaluate",
        *maps,
        "--part",
        2,
        "--out",
        tmp_path / "out",
        "--box",
        shlex.split(use)[0],
    )
    assert run(*scored) == 2
    assert "fitted on maps of 0, not" in complaint(capsys)
    assert not (tmp_path / "out").exists()
    assert run(*scored, *layer) == 0


def test_boxes_and_image_labels_are_both_stamped(discs: Path, card: Path, tmp_path: Path) -> None:
    file, split = tmp_path / "box.safetensors", ("--split", "0.5/0.5")
    common = (f"csv:{discs}", "--model", card, *split, "--method", "sensitivity")
    assert run("fit", *common, "--part", 1, "--class-from", "truth", "--out", file) == 0
    scored = ("evaluate", *common, "--part", 2, "--out", tmp_path / "out", "--box")
    assert run(*scored, f"ridge({file})") == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["supervision"] == (
        "12 boxes, image labels"
    )


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("evaluate", "--method", "dam", "--class-from", "none"), "looks for a class"),
        (("evaluate", "--class-from", "none", "--no-foreground"), "looks for a class"),
        (("evaluate", "--box", "center(mean)"), "as in center"),
    ],
)
def test_a_wrong_call_is_refused_before_its_folder_is_taken(
    call: tuple[str, ...],
    said: str,
    discs: Path,
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, *options = call
    source = f"csv:{discs}" if command == "evaluate" else discs / "images"
    assert run(command, source, "--model", card, *options, "--out", tmp_path / "out") == 2
    assert said in complaint(capsys)
    assert not (tmp_path / "out").exists()


def test_the_lists_show_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "boxes") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "features=cells|quantiles" in shown
    assert "penalty=NUMBER" in shown


def test_both_faces_have_the_same_defaults() -> None:
    from gradbox import pipeline

    for name in ("locate", "evaluate", "fit"):
        faces = (pipeline, import_module(f"gradbox.cli.{name}"))
        ours, theirs = (inspect.signature(getattr(face, name)).parameters for face in faces)
        for option in ("method", "box"):
            assert ours[option].default == theirs[option].default


@pytest.mark.slow
def test_the_table_of_all_boxes_stands_below_the_scores(
    discs: Path, card: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One disc an image: the constant box has one box each, and its recall is its hits."""
    common = (f"csv:{discs}", "--model", card)
    assert run("evaluate", *common, "--out", tmp_path / "one", "--box", "threshold(boxes=all)") == 0
    said = capsys.readouterr().out
    assert "all boxes against 24 true boxes" in said
    runs = ("--run", "sensitivity | mass", "--run", "sensitivity(target=layer_mean) | mass")
    assert run("compare", *common, *runs, "--out", tmp_path / "two") == 0
    said = capsys.readouterr().out
    table = said[said.index("all boxes against 24 true boxes") :]
    rows = [[one.strip() for one in line.split("│")[1:-1]] for line in table.splitlines()]
    kinds = {row[0]: row[1] for row in rows if len(row) == 7}
    assert kinds["sensitivity | mass"] == "of its class"
    assert kinds["sensitivity(target=layer_mean) | mass"] == "any"
    whole = next(row for row in rows if row and row[0] == "whole")
    known = json.loads((tmp_path / "two" / "compare.json").read_text("utf-8"))
    found = known["baselines"]["whole"]["detection"]
    assert whole[-1] == str(found["n_predicted_boxes"]) == "24"
    assert whole[4:6] == [f"{100 * found[key]:.1f}" for key in ("recall30", "recall50")]
