"""Pictures of a localization: its boxes on the photo, its heatmap, its mask, its regions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from textwrap import shorten

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from gradbox.boxes import Boxes
from gradbox.errors import UsageError
from gradbox.files import file_of, whole_file
from gradbox.geometry import Frame, Size
from gradbox.localization import RGB, Localization, Region

SIDE = 480
"""Longer side of a panel in pixels; one of a region is smaller."""

_MARGIN = 12
_FONT_SIZE = 14
_LINE = 3
_NAME = 24
_LEFT_OUT = "#8c8c8c"
_PREDICTED = ("#e8112d", "#c45500", "#b0178c", "#8f1d1d", "#d6336c")
_TRUTH = "#12b347"
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}
_NO_BOXES = np.zeros((0, 4))


def picture(
    rgb: RGB,
    localization: Localization,
    *,
    frame: Frame | None = None,
    truth: Boxes = _NO_BOXES,
    region_columns: int = 5,
) -> UInt8[np.ndarray, "H W 3"]:
    """The photo with its boxes, and beside and below it whatever details there are.

    Predictions are red, each with its name, the probability of its class and its score; truth is
    green. Beside them stand the heatmap and the mask, or, without one, the union of the chosen
    regions. The regions of the main box follow below, maps over blobs (Dwaraknath et al.'s figure
    of the algorithm). A photo narrower than a sixth of its length is widened to it.

    Args:
        rgb: the upright photo, at any resolution.
        localization: what was found, in pixels of the original.
        frame: how the original became the network input; without one the maps cover all of it.
        truth: true boxes in pixels of the original.
        region_columns: regions side by side.
    """
    view = _view(rgb, localization.size, frame, SIDE)
    small = _view(rgb, localization.size, frame, 3 * SIDE // max(region_columns, 3))
    regions = _regions(localization)
    rows = [list(_main_panels(view, localization, texts_of(localization), truth))]
    for start in range(0, len(regions), region_columns):
        part = list(enumerate(regions, start=1))[start : start + region_columns]
        rows += [
            [_map_panel(small, number, region) for number, region in part],
            [_blob_panel(small, number, region) for number, region in part],
        ]
    return _sheet(rows)


def heatmap_picture(
    rgb: RGB,
    heatmap: Float[np.ndarray, "rows columns"],
    *,
    frame: Frame | None = None,
    side: int = SIDE,
) -> UInt8[np.ndarray, "H W 3"]:
    """The grey photo under the positive part of a map, with `side` pixels on its longer side.

    Args:
        rgb: the upright photo.
        heatmap: a map over the network input, of any size.
        frame: how the photo became the network input; without one the map covers all of it.
        side: pixels.
    """
    height, width = rgb.shape[:2]
    return np.asarray(_glowing(_view(rgb, (height, width), frame, side), heatmap))


def contact_sheet(
    pictures: Sequence[tuple[str, np.ndarray]], *, columns: int = 2
) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures (h, w, 3) uint8 RGB of any size side by side, each under its caption."""
    panels = [_Panel(caption, Image.fromarray(rgb)) for caption, rgb in pictures]
    return _sheet([panels[start : start + columns] for start in range(0, len(panels), columns)])


def resized_within(rgb: RGB, side: int) -> UInt8[np.ndarray, "H W 3"]:
    """A copy whose longer side has at most so many pixels; a smaller picture stays as it is."""
    height, width = rgb.shape[:2]
    share = side / max(height, width)
    if share >= 1:
        return rgb
    return _resize(rgb, (max(1, round(height * share)), max(1, round(width * share))))


def picture_file(folder: Path, image_id: str) -> Path:
    """Where the picture of an image lies; a name that is too long for a file is cut."""
    return file_of(folder, image_id, ".jpg")


def check_picture(path: Path) -> None:
    """Refuse a name whose suffix is of no picture.

    Raises:
        UsageError: it is of none.
    """
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"{path}: a picture ends in {', '.join(_FORMATS)}; rename it")


def save_picture(path: Path, rgb: RGB) -> None:
    """Write a JPEG or PNG file, whichever the suffix says, whole or not at all.

    Raises:
        UsageError: another suffix.
    """
    check_picture(path)
    with whole_file(path) as partial:
        Image.fromarray(rgb).save(partial, format=_FORMATS[path.suffix.lower()], quality=92)


@dataclass(frozen=True)
class _Panel:
    caption: str
    image: Image.Image


@dataclass(frozen=True)
class _View:
    """A photo at the size of a panel, and the way to it from the original and from the input."""

    photo: RGB
    original: Size
    frame: Frame | None

    @property
    def size(self) -> Size:
        height, width = self.photo.shape[:2]
        return height, width

    def boxes(self, boxes: Boxes) -> Boxes:
        """From original pixels, moved inside by half a line where they touch the edge."""
        height, width = self.size
        edge = _LINE // 2
        last = np.array([width, height, width, height]) - 1.0 - edge
        return np.clip(Frame.squash(self.original, self.size).to_input(boxes), edge, last)

    def mask(self, mask: Bool[np.ndarray, "H W"]) -> Bool[np.ndarray, "h w"]:
        """From the original."""
        return _resize(mask.astype(np.uint8) * 255, self.size) >= 128

    def heatmap(self, heatmap: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "H W"]:
        """From the input."""
        height, width = heatmap.shape
        frame = self.frame or Frame.squash(self.size, (height, width))
        return replace(frame, original=self.size).map_to_original(heatmap)

    def input_mask(self, mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "H W"]:
        """From the input."""
        return self.heatmap(mask.astype(np.float32)) > 0.5


def _view(rgb: RGB, original: Size, frame: Frame | None, side: int) -> _View:
    height, width = original
    scale = side / max(height, width)
    shown = (max(round(height * scale), side // 6), max(round(width * scale), side // 6))
    return _View(_resize(rgb, shown), original, frame)


def _resize(
    pixels: UInt8[np.ndarray, "h w *channels"], size: Size
) -> UInt8[np.ndarray, "H W *channels"]:
    shrinks = max(size) < max(pixels.shape[:2])
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(pixels, size[::-1], interpolation=how)


def _regions(localization: Localization) -> list[Region]:
    """Those of the main box that have something to show."""
    main = localization.labels[:1]
    return [
        region
        for region in localization.regions
        if region.label in main and (region.heatmap is not None or region.mask is not None)
    ]


def texts_of(localization: Localization) -> list[str]:
    """What stands at each box: its number where there are several, then 'name 0.83 · 0.61'."""
    texts = []
    for i, (label, probability, score) in enumerate(
        zip(localization.labels, localization.label_scores, localization.scores, strict=True)
    ):
        words = [str(i + 1)] if len(localization.boxes) > 1 else []
        if label is not None:
            named = localization.names[i] if localization.names else None
            name = shorten(named or str(label), _NAME, placeholder="…")
            words.append(f"{name} {probability:.2f}")
        texts.append(" · ".join([*words, f"{score:.2f}"]))
    return texts


def _main_panels(
    view: _View, localization: Localization, texts: Sequence[str], truth: Boxes
) -> Iterator[_Panel]:
    boxes = view.boxes(localization.boxes)
    image = _outlined(Image.fromarray(view.photo), view.boxes(truth), (_TRUTH,))
    image = _labelled(_outlined(image, boxes, _PREDICTED), boxes, texts)
    yield _Panel(_legend(localization, truth), image)
    if localization.heatmap is not None:
        yield _Panel("heatmap", _glowing(view, localization.heatmap))
    mask = _object_mask(view, localization)
    if mask is not None:
        cut = _cut_out(view.photo, mask, _PREDICTED[0])
        yield _Panel("mask and its box", _outlined(cut, boxes[:1], _PREDICTED))


def _legend(localization: Localization, truth: Boxes) -> str:
    classless = all(label is None for label in localization.labels)
    said = "red: score" if classless else "red: class probability · score"
    parts = [said if localization.labels else "no box"]
    parts += ["green: truth"] if len(truth) else []
    parts += ["blank image"] if localization.blank else []
    return ", ".join(parts)


def _object_mask(view: _View, localization: Localization) -> Bool[np.ndarray, "h w"] | None:
    if localization.mask is not None:
        return view.mask(localization.mask)
    chosen = [r.mask for r in _regions(localization) if r.chosen and r.mask is not None]
    return np.any([view.input_mask(mask) for mask in chosen], axis=0) if chosen else None


def _map_panel(view: _View, number: int, region: Region) -> _Panel:
    if region.heatmap is None:
        return _Panel(f"no map {number}", Image.fromarray(view.photo))
    return _Panel(f"map {number}", _glowing(view, region.heatmap))


def _blob_panel(view: _View, number: int, region: Region) -> _Panel:
    caption = f"{'✓ ' if region.chosen else ''}region {number} · {region.score:.2f}"
    colour = _PREDICTED[0] if region.chosen else _LEFT_OUT
    if region.mask is None:
        photo = Image.fromarray(view.photo)
        return _Panel(caption, _outlined(photo, view.boxes(region.box[None]), (colour,)))
    return _Panel(caption, _cut_out(view.photo, view.input_mask(region.mask), colour))


def _outlined(image: Image.Image, boxes: Boxes, colours: Sequence[str]) -> Image.Image:
    """The boxes in turning colours, the first one on top."""
    import supervision as sv

    order = np.arange(len(boxes))[::-1]
    annotator = sv.BoxAnnotator(sv.ColorPalette.from_hex(list(colours)), thickness=_LINE)
    return annotator.annotate(image.copy(), sv.Detections(boxes[order], class_id=order))


def _labelled(image: Image.Image, boxes: Boxes, texts: Sequence[str]) -> Image.Image:
    """Each text above the corner of its box, moved to lie inside the picture and off the others."""
    import supervision as sv

    padding = 4
    annotator = sv.RichLabelAnnotator(
        sv.ColorPalette.from_hex(list(_PREDICTED)),
        font_path=font_path(),
        font_size=_FONT_SIZE,
        text_padding=padding,
        smart_position=True,
    )
    fitting = [_fitting(text, image.width - 2 * padding) for text in texts]
    detections = sv.Detections(boxes, class_id=np.arange(len(boxes)))
    return annotator.annotate(image.copy(), detections, fitting)


def _glowing(view: _View, heatmap: Float[np.ndarray, "h w"]) -> Image.Image:
    """The grey photo under the positive part of a map, brightest from its 99.5 % quantile on."""
    import matplotlib

    positive = np.maximum(view.heatmap(heatmap), 0.0)
    top = np.quantile(positive, 0.995) or positive.max() or 1.0
    values = np.minimum(positive / top, 1.0)
    colours = matplotlib.colormaps["inferno"](values)[..., :3] * 255
    grey = cv2.cvtColor(view.photo, cv2.COLOR_RGB2GRAY)[..., None] * 0.5
    share = 0.3 + 0.7 * values[..., None]
    return Image.fromarray((grey * (1 - share) + colours * share).astype(np.uint8))


def _cut_out(photo: RGB, mask: Bool[np.ndarray, "h w"], colour: str) -> Image.Image:
    """The photo, pale outside the mask, with the mask's outline."""
    import supervision as sv

    pale = (photo * 0.25 + 0.75 * 235).astype(np.uint8)
    image = Image.fromarray(np.where(mask[..., None], photo, pale))
    annotator = sv.PolygonAnnotator(sv.Color.from_hex(colour))
    whole = sv.Detections(np.zeros((1, 4)), mask=mask[None], class_id=np.zeros(1, int))
    return annotator.annotate(image, whole)


def _sheet(rows: Sequence[Sequence[_Panel]]) -> RGB:
    """The panels in rows on white, each under its caption."""
    head = _FONT_SIZE + 6
    widths = [sum(panel.image.width + _MARGIN for panel in row) for row in rows]
    heights = [head + max(panel.image.height for panel in row) + _MARGIN for row in rows]
    sheet = Image.new("RGB", (max(widths) + _MARGIN, sum(heights) + _MARGIN), "white")
    draw = ImageDraw.Draw(sheet)
    y = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        x = _MARGIN
        for panel in row:
            draw.text((x, y), _fitting(panel.caption, panel.image.width), "black", _font())
            sheet.paste(panel.image, (x, y + head))
            x += panel.image.width + _MARGIN
        y += height
    return np.array(sheet)


def _fitting(text: str, width: int) -> str:
    """The text, or its beginning and an ellipsis where it is wider than this many pixels."""
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_path(), _FONT_SIZE)


def font_path() -> str:
    """A font with more than Latin letters: supervision's and Pillow's own have no others."""
    import matplotlib

    return str(Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))
