"""Labelling configurations: read by hand-written examples, and back from what is written."""

import pytest

from gradbox.errors import UsageError
from gradbox.labelstudio.configuration import TAGS, parse, shapes_of, written

TEMPLATE = """
<View>
  <Header value="Draw"/>
  <Image name="picture" value="$photo"/>
  <Image name="other" value="$second"/>
  <RectangleLabels name="far" toName="other"><Label value="x"/></RectangleLabels>
  <View>
    <RectangleLabels name="box" toName="picture">
      <Label value="cat" background="#ff0000"/><Label value="dog" alias="canine"/>
    </RectangleLabels>
  </View>
  <RectangleLabels name="second" toName="picture"><Label value="bird"/></RectangleLabels>
  <BrushLabels name="paint" toName="picture"><Label value="cat"/></BrushLabels>
  <Choices name="choice" toName="picture"><Choice value="day"/></Choices>
</View>
"""


def test_a_configuration_by_hand():
    # The first picture, of each shape the first tag on it, aliases as what an answer says.
    found = parse(TEMPLATE)
    assert found.key == "photo"
    assert set(found.controls) == {"rectangle", "brush"}
    box = found.controls["rectangle"]
    assert (box.from_name, box.to_name) == ("box", "picture")
    assert box.labels == {"cat": "cat", "dog": "canine"}
    assert found.controls["brush"].from_name == "paint"
    assert found.labels == {"cat", "dog"}


NAMES = ["cat", 'quo"te', "<&>", "it's", "line\nfeed", "tab\t", "käfer", "猫", "&#7;", " ", "$x"]


@pytest.mark.parametrize("shapes", [("rectangle",), tuple(TAGS.values())])
def test_what_is_written_is_read_back(shapes):
    found = parse(written([*NAMES, "cat"], shapes))
    assert found.key == "image"
    assert tuple(found.controls) == shapes
    for control in found.controls.values():
        assert list(control.labels) == NAMES  # each once, in order


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no XML"),
        ("<View>", "is no XML"),
        ("<View/>", "has no <Image"),
        ('<View><Image name="i"/></View>', "has no value of the kind"),
        ('<View><Image name="i" value="fixed.png"/></View>', "has no value of the kind"),
        ('<View><Image name="i" valueList="$images"/></View>', "has no value of the kind"),
        ('<View><Image name="i" value="$image"/></View>', "nothing to draw boxes or masks with"),
        (TEMPLATE.replace('toName="picture"', 'toName="sound"'), "nothing to draw"),
    ],
)
def test_what_cannot_be_used_is_one_line(text, said):
    with pytest.raises(UsageError, match=said) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_entities_grow_without_bound_nowhere_and_fetch_nothing(tmp_path):
    levels = [f'<!ENTITY x{i} "{f"&x{i - 1};" * 10}">' for i in range(1, 10)]
    bomb = f'<!DOCTYPE a [<!ENTITY x0 "lol">{"".join(levels)}]><View>&x9;</View>'
    secret = tmp_path / "secret.txt"
    secret.write_text("cat")
    reader = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><View>&x;</View>'
    for text in (bomb, reader):
        with pytest.raises(UsageError, match="is no XML"):
            parse(text)


def test_shapes_by_name():
    assert shapes_of(" brush,rectangle ") == ("rectangle", "brush")
    for text, said in (("", "use rectangle"), ("rectangel", "did you mean rectangle")):
        with pytest.raises(UsageError, match=said):
            shapes_of(text)
