"""Label Studio's labelling configuration: which shapes people draw, and what they may call them."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import quoteattr

from gradbox.errors import UsageError, nearest

Shape = Literal["rectangle", "brush", "polygon", "keypoint"]
TAGS: Mapping[str, Shape] = {
    "RectangleLabels": "rectangle",
    "BrushLabels": "brush",
    "PolygonLabels": "polygon",
    "KeyPointLabels": "keypoint",
}
_NAMES: Mapping[Shape, str] = {
    "rectangle": "label",
    "brush": "mask",
    "polygon": "outline",
    "keypoint": "point",
}
"""How the tag of a shape is called in the configurations that are written here."""
IMAGE = "image"
"""How the picture is called there, and the key of its address in a task."""


@dataclass(frozen=True, kw_only=True)
class Control:
    """A tag for shapes of one kind, on one picture.

    `labels` maps what people choose from to what an answer says: the label itself or its alias.
    """

    shape: Shape
    from_name: str
    to_name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What can be drawn on the picture of a task, whose address is at `key` of its data."""

    key: str
    controls: Mapping[Shape, Control]

    @property
    def labels(self) -> frozenset[str]:
        """All that people choose from, whatever they draw."""
        return frozenset(label for one in self.controls.values() for label in one.labels)


def parse(text: str) -> Configuration:
    """Read a labelling configuration: its first picture, and of each shape the first tag on it.

    Raises:
        UsageError: it is no XML, has no picture, or nothing that can be drawn by a model.
    """
    try:
        tags = list(ElementTree.fromstring(text).iter())
    except (ElementTree.ParseError, ValueError) as error:
        raise UsageError(f"the labelling configuration is no XML ({error}); mend it") from None
    pictures = [tag for tag in tags if tag.tag == "Image" and tag.get("name")]
    if not pictures:
        raise UsageError('the labelling configuration has no <Image name="..." value="$...">')
    picture = pictures[0]
    value = picture.get("value", "")
    if not value.startswith("$"):
        raise UsageError(
            f"the picture {picture.get('name')!r} of the labelling configuration has no value of "
            'the kind "$image", which names what a task calls its address'
        )
    controls: dict[Shape, Control] = {}
    for tag in tags:
        control = _control(tag)
        if control is not None and control.to_name == picture.get("name"):
            controls.setdefault(control.shape, control)
    if not controls:
        known = ", ".join(f"<{tag}>" for tag in TAGS)
        raise UsageError(
            "the labelling configuration has nothing to draw boxes or masks with: give it one of "
            f"{known}, with its labels, as `gradbox labels` prints them"
        )
    return Configuration(key=value.removeprefix("$"), controls=controls)


def _control(tag: ElementTree.Element) -> Control | None:
    shape = TAGS.get(tag.tag)
    if shape is None or not tag.get("name"):
        return None
    labels = {
        given: one.get("alias") or given for one in tag.iter("Label") if (given := one.get("value"))
    }
    return Control(
        shape=shape,
        from_name=tag.get("name", ""),
        to_name=tag.get("toName", ""),
        labels=labels,
    )


def shapes_of(text: str) -> tuple[Shape, ...]:
    """The shapes that a text names, with commas.

    Raises:
        UsageError: it names something else, or none.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    known = tuple(TAGS.values())
    for name in names or [""]:
        if name not in known:
            raise UsageError(f"no shape {name!r}{nearest(name, known)}: use {', '.join(known)}")
    return tuple(shape for shape in known if shape in names)


def written(labels: Iterable[str], shapes: Iterable[Shape] = ("rectangle",)) -> str:
    """A configuration with these labels for each shape, ready to be pasted.

    >>> print(written(["cat"]), end="")
    <View>
      <Image name="image" value="$image" zoom="true"/>
      <RectangleLabels name="label" toName="image">
        <Label value="cat"/>
      </RectangleLabels>
    </View>
    """
    chosen = [f"    <Label value={quoteattr(label)}/>\n" for label in dict.fromkeys(labels)]
    wanted = tuple(shapes)
    parts = [
        f'  <{tag} name="{_NAMES[shape]}" toName="{IMAGE}">\n{"".join(chosen)}  </{tag}>\n'
        for tag, shape in TAGS.items()
        if shape in wanted
    ]
    picture = f'  <Image name="{IMAGE}" value="${IMAGE}" zoom="true"/>\n'
    return f"<View>\n{picture}{''.join(parts)}</View>\n"
