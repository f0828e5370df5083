"""What the page shows is what `localize` finds, and the map of an image is made once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import classifier, network
from PIL import Image
from torch import nn

from gradbox import localize
from gradbox.errors import ImageError, UsageError
from gradbox.estimators.untrained import Mass
from gradbox.models.classifier import Classifier
from gradbox.web.explorer import Explorer, Opened
from gradbox.web.sliders import box_at
from gradbox.web.uploads import Limits

NAMES = ("ant", "bee", "cow", "dog", "eel", "5")
METHODS = {text: text for text in ("sensitivity", "gradcam", "eigencam", "dam", "occlusion")}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def explorer(net: nn.Module | None = None, **options: Any) -> Explorer:
    return Explorer.of(classifier(net, class_names=NAMES, **options), METHODS)


def opened(page: Explorer, path: Path) -> Opened:
    return page.open(path, path.name)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("box", [None, Mass(trim=0.1)])
def test_it_finds_what_localize_finds(method: str, box: Any, picture: Path) -> None:
    page = explorer()
    found = page.locate(opened(page, picture), method, box)
    expected = localize(picture, page.classifier, method=method, box=box)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert found.scores == expected.scores
    assert found.names == expected.names
    assert found.heatmap is not None


@pytest.mark.parametrize("text", ["bee", "BEE", "1"])
def test_a_class_may_be_typed(text: str, picture: Path) -> None:
    page = explorer()
    found = page.locate(opened(page, picture), "sensitivity", label=text)
    expected = localize(picture, page.classifier, method="sensitivity", labels=["bee"])
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert set(found.names) == {"bee"}


def test_moving_a_slider_runs_no_network(picture: Path) -> None:
    """The passes of the network are counted: the first look needs some, the next 20 none."""
    page = explorer(counted := Counted())
    image = opened(page, picture)
    for method in METHODS:
        first = page.locate(image, method, box_at("mass", [0.5, 0.0, 0.0]))
        counted_before = Counted.passes
        boxes = [
            page.locate(image, method, box_at("mass", [floor, trim, 0.0])).boxes[0].tolist()
            for floor in (0.1, 0.3, 0.5, 0.7)
            for trim in (0.0, 0.05, 0.1, 0.2, 0.3)
        ]
        assert Counted.passes == counted_before, method
        assert len({tuple(box) for box in boxes}) > 1  # and the boxes do move
        again = page.locate(image, method, box_at("mass", [0.5, 0.0, 0.0]))
        np.testing.assert_array_equal(again.boxes, first.boxes)
    assert counted_before > 0
    assert isinstance(counted, Counted)


class Counted(nn.Module):
    """A network that counts its passes, over all copies that are made of it."""

    passes = 0

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: Any) -> Any:
        type(self).passes += 1
        return self.inner(x)


def test_the_most_probable_classes_are_offered_by_a_text_that_names_them(picture: Path) -> None:
    """The class with the index 5 is called "5"; one called "0" would be another's index."""
    names = ("1", "bee", "cow", "dog", "dog", "5")
    page = Explorer.of(classifier(class_names=names), METHODS)
    image = opened(page, picture)
    probabilities = dict(image.classes)
    assert len(probabilities) == 5
    assert list(probabilities.values()) == sorted(probabilities.values(), reverse=True)
    assert sum(probabilities.values()) < 1
    for (label, share), (shown, text) in zip(image.classes, page.choices(image), strict=True):
        assert shown.endswith(f"({share:.0%})")
        if label != 1:  # bee can be named, and so can all but "dog", of which there are two
            assert page.classifier.class_index(text) == label


def test_outputs_that_are_no_classes_have_none_to_choose(picture: Path) -> None:
    page = Explorer.of(classifier(head="none"), {"eigencam": "eigencam"})
    image = opened(page, picture)
    assert image.classes == ()
    assert page.choices(image) == []
    assert page.locate(image, "eigencam").labels == (None,)


def test_several_classes_begin_with_all_that_are_there(picture: Path) -> None:
    page = explorer(head="sigmoid")
    image = opened(page, picture)
    assert page.choices(image)[0] == ("all that are there", "")
    found = page.locate(image, "sensitivity")
    expected = localize(picture, page.classifier, method="sensitivity")
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert found.labels == expected.labels


def test_masks_are_of_the_main_box(picture: Path) -> None:
    page = explorer()
    found = page.locate(opened(page, picture), "sensitivity", mask=True)
    expected = localize(picture, page.classifier, method="sensitivity", masks=True)
    assert found.mask is not None
    np.testing.assert_array_equal(found.mask, expected.mask)
    assert page.locate(opened(page, picture), "sensitivity").mask is None


def test_what_cannot_be_is_refused_in_a_line(picture: Path, tmp_path: Path) -> None:
    page = explorer()
    image = opened(page, picture)
    with pytest.raises(UsageError, match=r"no method 'evil.py:X' here"):
        page.locate(image, "evil.py:X")
    with pytest.raises(UsageError, match=r"no class 'aunt' \(did you mean ant\?\)"):
        page.locate(image, "sensitivity", label="aunt")
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ImageError, match="no image of a known format") as refused:
        page.open(tmp_path / "text.jpg", "../text.jpg")
    assert str(tmp_path) not in str(refused.value)
    strict = Explorer.of(page.classifier, METHODS, Limits(slim=1))
    with pytest.raises(ImageError, match="40 x 60 pixels, one side more than 1 times"):
        strict.open(np.zeros((60, 40, 3), dtype=np.uint8), "array")
    with pytest.raises(UsageError, match="one after the other: give the range"):
        Explorer.of(ranged_over_a_dataset(), METHODS)


def ranged_over_a_dataset() -> Classifier:
    from gradbox.images.preprocessing import Preprocessing
    from gradbox.images.reading import Reading

    reading = Reading.of_texts(None, "percentile(1, 99, over=dataset)", None)
    return Classifier.wrap(network(), preprocessing=Preprocessing(size=(14, 10), reading=reading))


def test_methods_that_the_network_cannot_have_are_not_offered() -> None:
    """Roll-out needs attention, which two convolutions do not have; asked for, it is an error."""
    offered = Explorer.of(classifier()).methods
    assert {"auto", "gradcam", "dam"} <= offered.keys()
    assert "rollout" not in offered
    with pytest.raises(UsageError, match="no attention"):
        Explorer.of(classifier(), {"rollout": "rollout"})
