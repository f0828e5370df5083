"""`cvat:IMAGES@FILE.xml` on tiny files as CVAT writes them."""

import numpy as np
import pytest

from gradbox.datasets import load_dataset
from gradbox.errors import UsageError

META = (
    "<version>1.1</version><meta><job><labels><label><name>cat</name></label>"
    "<label><name>dog</name></label></labels></job></meta>"
)


@pytest.fixture
def load(photo, text, tmp_path):
    photo("images/a.jpg")

    def load(*shapes, name="a.jpg", width="40"):
        image = f'<image id="0" name="{name}" width="{width}" height="30">{"".join(shapes)}</image>'
        text("a.xml", f"<annotations>{META}{image}</annotations>")
        return load_dataset(f"cvat:{tmp_path}/images@{tmp_path}/a.xml")

    return load


def test_shapes_become_boxes_and_a_tag_the_class(load):
    dataset = load(
        '<box label="cat" xtl="1.5" ytl="2" xbr="11.5" ybr="22"/>',
        '<box label="cat" xtl="10" ytl="10" xbr="20" ybr="14" rotation="90"/>',
        '<polygon label="dog" points="3,1;0,5;2,2"/>',
        '<mask label="dog" rle="2, 4" left="7" top="8" width="3" height="2"/>',
        '<ellipse label="dog" cx="20" cy="15" rx="10" ry="5"/>',
        '<points label="dog" points="3,1"/>',
        '<tag label="pet"/>',
    )
    (a,) = dataset.samples
    # By hand: the second turns about its middle (15, 12), so 10 x 4 becomes 4 x 10.
    expected = [[1.5, 2, 11.5, 22], [13, 7, 17, 17], [0, 1, 3, 5], [7, 8, 10, 10], [10, 10, 30, 20]]
    np.testing.assert_allclose(a.boxes, expected, atol=1e-9)
    assert a.labels == ("cat", "cat", "dog", "dog", "dog")
    assert (a.label, a.size, dataset.class_names) == ("pet", (30, 40), ("cat", "dog"))


def test_without_a_tag_the_class_is_that_of_all_shapes_and_missing_images_are_told(load):
    dataset = load('<box label="cat" xtl="1" ytl="2" xbr="11" ybr="22"/>', name="gone/b.jpg")
    assert [s.label for s in dataset.samples] == ["cat"]
    assert dataset.problems == (
        "1 of 1 images listed, but there is no such file, such as gone/b.jpg",
    )


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<box label="cat" xtl="1" ytl="2" xbr="x" ybr="3"/>', "a.jpg: box: xbr: 'x' is not a fin"),
        ('<box label="cat" xtl="1"/>', "box: ytl: None is not a finite number"),
        ('<box xtl="1" ytl="2" xbr="3" ybr="3"/>', "label: None is no text"),
        ('<polygon label="cat" points="1;2"/>', "polygon: points '1;2': write x,y;x,y;x,y"),
    ],
)
def test_a_shape_that_lacks_something_is_named(shape, reason, load):
    with pytest.raises(UsageError, match=reason):
        load(shape)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<annotations><track/></annotations>", "has tracks of a video; export the task as 'CVAT"),
        ("<annotation/>", "has no images; export"),
        ("<annotations", "is not an XML annotation"),
    ],
)
def test_another_file_is_refused(content, reason, photo, text, tmp_path):
    photo("images/a.jpg")
    text("a.xml", content)
    with pytest.raises(UsageError, match=reason):
        load_dataset(f"cvat:{tmp_path}/images@{tmp_path}/a.xml")
