"""A fit of drawn boxes is that of `gradbox fit`; constant boxes are scored on the same images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradbox.auto.fitted import Fitted
from gradbox.datasets import load_dataset
from gradbox.errors import UsageError
from gradbox.localization import Sample
from gradbox.models.load import SCENES, load_classifier
from gradbox.pipeline import fit
from gradbox.progress import silent
from gradbox.scores.boxes import best_iou
from gradbox.web.drawn import Drawn
from gradbox.web.explorer import Explorer
from gradbox.web.fitting import constant_rows


def sample(name: str, box: list[float]) -> Sample:
    return Sample(
        image_id=name,
        source=Path(name),
        boxes=np.array([box], dtype=np.float64),
        labels=("object",),
        size=(100, 100),
    )


def test_constant_boxes_by_hand() -> None:
    """Of each image the mean is that of the others: half the sides for one, all for the other."""
    samples = [sample("half", [25, 25, 75, 75]), sample("whole", [0, 0, 100, 100])]
    rows = {row.name: row for row in constant_rows(samples)}
    assert rows["whole"].mean_iou.mean == pytest.approx((0.25 + 1) / 2)
    assert rows["center(0.8)"].mean_iou.mean == pytest.approx((0.25 / 0.64 + 0.64) / 2)
    assert rows["center(0.8)"].corloc.mean == 0.5
    assert rows["center(mean)"].mean_iou.mean == pytest.approx(0.25)
    assert (rows["whole"].mean_iou.low, rows["whole"].mean_iou.high) == (
        0.25,
        1.0,
    )  # two images: all draws lie between


def drawn_scenes(folder: Path, count: int) -> Drawn:
    """The true boxes of scenes, drawn."""
    drawn = Drawn(folder / "drawn")
    for one in load_dataset(f"scenes:{count},seed=90").samples:
        path = folder / one.image_id
        assert callable(one.source)
        Image.fromarray(one.source()).save(path)
        drawn.draw(drawn.add(path, one.image_id, (224, 224)), one.boxes)
    return drawn


def test_too_few_images_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    with drawn_scenes(tmp_path, 9) as drawn:
        explorer = Explorer.of(load_classifier(SCENES), {"auto": "auto"})
        drawn.draw(drawn.image_ids[0], [])
        with pytest.raises(UsageError, match="8 images have a box: draw on at least 10 of them"):
            explorer.fit(drawn)
    assert not list((tmp_path / "drawn").glob("*.safetensors"))


@pytest.mark.slow
def test_a_fit_is_that_of_the_command_and_becomes_a_method(tmp_path: Path) -> None:
    explorer = Explorer.of(load_classifier(SCENES), {"auto": "auto"})
    with drawn_scenes(tmp_path, 10) as drawn:
        titles: list[str] = []

        def track(groups: object, count: int, title: str) -> object:
            titles.append(title)
            return silent(groups, count, title)  # type: ignore[arg-type]

        found = explorer.fit(drawn, track=track)  # type: ignore[arg-type]
    assert found.file.name == "fit-1.safetensors"
    assert drawn.next_fit().name == "fit-2.safetensors"  # an earlier fit is never replaced
    assert titles == ["looking", "fitting"]
    other = tmp_path / "other.safetensors"
    expected = fit(load_dataset(f"csv:{tmp_path / 'drawn'}"), explorer.classifier, other)
    assert isinstance(expected, Fitted)
    saved = Fitted.load(found.file)
    assert saved.sha256 == expected.sha256
    assert saved.rungs == expected.rungs == found.fitted.rungs
    before, after, *constants = found.rows
    assert (before.name, after.name) == ("before", "after")
    assert [row.name for row in constants] == ["center(0.8)", "center(mean)", "whole"]
    for row in found.rows:
        assert row.mean_iou.low is not None
        assert row.mean_iou.high is not None
        assert row.mean_iou.low <= row.mean_iou.mean <= row.mean_iou.high
    boxes = [one.boxes for one in load_dataset(f"csv:{tmp_path / 'drawn'}").samples]
    whole = np.array([0.0, 0.0, 224.0, 224.0])
    assert constants[2].mean_iou.mean == pytest.approx(np.mean([best_iou(whole, b) for b in boxes]))
    opened = explorer.open(tmp_path / "scene_000000.png", "scene.png")
    assert list(explorer.methods) == ["auto", "auto, fit-1"]
    fitted = explorer.locate(opened, "auto, fit-1")
    assert len(fitted.boxes) >= 1
