"""wsolevaluation's annotation files and folders of maps, scored by the protocol in `wsol`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float

from gradbox.boxes import Boxes, as_boxes
from gradbox.errors import ImageError, UsageError
from gradbox.geometry import Size
from gradbox.scores.wsol.protocol import (
    SIDE,
    BoxAccuracy,
    PixelAveragePrecision,
    Variant,
    check_scoremap,
    resize_boxes,
)


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """One split's annotation files.

    `labels` are class numbers, `sizes` (h, w), `boxes` in original pixels, `masks` the paths of an
    image's masks and then of its ignored region ("" without one), relative to the mask folder. A
    split has boxes (with sizes) or masks.
    """

    image_ids: tuple[str, ...]
    labels: Mapping[str, int]
    sizes: Mapping[str, Size]
    boxes: Mapping[str, Boxes]
    masks: Mapping[str, tuple[tuple[str, ...], str]]

    @classmethod
    def read(cls, folder: Path) -> "Metadata":
        """Read `image_ids.txt`, `class_labels.txt`, `localization.txt` and `image_sizes.txt`.

        Raises:
            UsageError: a file is missing, or a line does not have the fields that it should.
        """
        places = _rows(folder / "localization.txt")
        has_masks = any(len(fields) == 2 for rows in places.values() for fields in rows)
        sizes = {} if has_masks else _rows(folder / "image_sizes.txt")
        try:
            return cls(
                image_ids=tuple(_rows(folder / "image_ids.txt")),
                labels={i: int(v) for i, ((v,),) in _rows(folder / "class_labels.txt").items()},
                sizes={i: (int(h), int(w)) for i, ((w, h),) in sizes.items()},
                boxes={} if has_masks else {i: as_boxes(rows) for i, rows in places.items()},
                masks={i: _mask_paths(rows) for i, rows in places.items()} if has_masks else {},
            )
        except ValueError as error:
            raise UsageError(f"{folder}: not wsolevaluation's annotation files: {error}") from error


def score_boxes(
    metadata: Metadata, scoremaps: Path, variant: Variant, interval: float = 0.001
) -> BoxAccuracy:
    """Score a folder of maps, `IMAGE_ID.npy` for each image, against the boxes of a split.

    The maps are taken as they are, 224 x 224 and in [0, 1]: `scoremap_of` makes such a map.

    Raises:
        ImageError: the map of an image is missing or not such a map.
    """
    state = BoxAccuracy.empty(variant, interval)
    for image_id in metadata.image_ids:
        truth = resize_boxes(metadata.boxes[image_id], metadata.sizes[image_id])
        state = state.add(_load_scoremap(scoremaps, image_id), truth)
    return state


def score_masks(
    metadata: Metadata, scoremaps: Path, masks: Path, interval: float = 0.001
) -> PixelAveragePrecision:
    """Score a folder of maps, as for `score_boxes`, against the masks of a split under `masks`.

    Raises:
        ImageError: the map or a mask of an image is missing or cannot be used.
    """
    state = PixelAveragePrecision.empty(interval)
    for image_id in metadata.image_ids:
        paths, ignored = metadata.masks[image_id]
        mask = np.any([load_mask(masks / path) for path in paths], axis=0)
        ignore = load_mask(masks / ignored) if ignored else np.zeros_like(mask)
        state = state.add(_load_scoremap(scoremaps, image_id), mask, ignore)
    return state


def load_mask(path: Path) -> Bool[np.ndarray, "224 224"]:
    """The non-zero pixels of a grey image in the frame (nearest neighbour).

    Raises:
        ImageError: there is no readable image.
    """
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise ImageError(f"{path}: no readable mask")
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST) > 0


def _load_scoremap(folder: Path, image_id: str) -> Float[np.ndarray, "224 224"]:
    path = folder / f"{image_id}.npy"
    try:
        scoremap = np.load(path, allow_pickle=False).astype(np.float64)
        if scoremap.shape != (SIDE, SIDE):
            raise ValueError(f"its shape is {scoremap.shape}, not {(SIDE, SIDE)}")
        check_scoremap(scoremap)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: not a map that wsolevaluation reads: {error}") from error
    return scoremap


def _rows(path: Path) -> dict[str, list[tuple[str, ...]]]:
    """The fields after the image id, of each line of each image, in the order of the file."""
    if not path.is_file():
        raise UsageError(f"{path} is missing: a split's folder holds wsolevaluation's .txt files")
    rows: dict[str, list[tuple[str, ...]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        image_id, *fields = line.split(",")
        rows.setdefault(image_id, []).append(tuple(fields))
    return rows


def _mask_paths(rows: list[tuple[str, ...]]) -> tuple[tuple[str, ...], str]:
    """The masks of an image and its one ignored region, which stands in any of its lines."""
    masks, ignored = zip(*((mask, ignore) for mask, ignore in rows), strict=True)
    return masks, next((path for path in ignored if path), "")
