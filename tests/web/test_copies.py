"""What a browser says was drawn is not trusted: it changes boxes of a known image, or nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradbox.errors import ImageError
from gradbox.images.decode import load_rgb
from gradbox.web.copies import Copies
from gradbox.web.drawn import Drawn

BOX = {"xmin": 100, "ymin": 80, "xmax": 420, "ymax": 400}


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Copies]:
    """Of one image of 40 x 20 pixels."""
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 20)).save(path)
    (tmp_path / "copies").mkdir()
    with Drawn(tmp_path / "drawn") as drawn:
        drawn.add(path, "a.png", (20, 40))
        yield Copies(drawn, load_rgb, tmp_path / "copies")


def shown(copies: Copies) -> dict[str, Any]:
    """What the server shows, as a browser sends it back."""
    sent = copies.shown("a.png")
    return {"image": {"path": sent["image"]}, "boxes": sent["boxes"]}


def test_a_box_comes_back_where_it_was_drawn(copies: Copies) -> None:
    """The copy of the 40 x 20 image is 800 x 400, and the browser may have scaled it again."""
    with Image.open(copies.shown("a.png")["image"]) as copy:
        assert copy.size == (800, 400)
    copies.draw({**shown(copies), "boxes": [BOX]})
    assert copies.drawn.boxes("a.png").tolist() == [[5, 4, 21, 20]]
    halved = {key: value / 2 for key, value in BOX.items()}
    copies.draw({**shown(copies), "boxes": [{**halved, "scaleFactor": 0.5}]})
    assert copies.drawn.boxes("a.png").tolist() == [[5, 4, 21, 20]]
    assert [list(box.values()) for box in shown(copies)["boxes"]] == [[100, 80, 420, 400]]
    backwards = {"xmin": 420, "ymin": 400, "xmax": 100, "ymax": 80}
    copies.draw({**shown(copies), "boxes": [backwards]})
    assert copies.drawn.boxes("a.png").tolist() == [[5, 4, 21, 20]]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"image": None},
        {"image": {"path": "/etc/passwd"}, "boxes": [BOX]},
        {"image": {"path": "../a.png"}, "boxes": [BOX]},
    ],
)
def test_an_image_that_is_not_shown_changes_nothing(sent: Any, copies: Copies) -> None:
    copies.draw({**shown(copies), "boxes": [BOX]})
    copies.draw(sent)
    assert copies.drawn.boxes("a.png").tolist() == [[5, 4, 21, 20]]
    assert copies.drawn.image_ids == ["a.png"]


@pytest.mark.parametrize(
    "boxes",
    [
        [{}],
        ["box"],
        [None],
        [{**BOX, "xmax": "far"}],
        [{**BOX, "xmax": float("nan")}],
        [{**BOX, "xmax": float("inf")}],
        [{**BOX, "scaleFactor": "x"}],
        7,
    ],
)
def test_no_boxes_are_one_line_and_change_nothing(boxes: Any, copies: Copies) -> None:
    copies.draw({**shown(copies), "boxes": [BOX]})
    with pytest.raises(ImageError, match="these are no boxes"):
        copies.draw({**shown(copies), "boxes": boxes})
    np.testing.assert_array_equal(copies.drawn.boxes("a.png"), [[5, 4, 21, 20]])
