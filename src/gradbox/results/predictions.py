"""The lines of `predictions.jsonl`: what was found, written and read back."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.boxes import as_boxes
from gradbox.errors import ImageError
from gradbox.geometry import Mask
from gradbox.localization import Found, Localization, Moment, Region


def to_line(image_id: str, found: Found, *, masks: bool = False) -> dict[str, Any]:
    """One line of `predictions.jsonl`: one image, its boxes rounded to a thousandth of a pixel."""
    if isinstance(found, ImageError):
        return {"image": image_id, "error": str(found)}
    height, width = found.size
    line: dict[str, Any] = {
        "image": image_id,
        "width": width,
        "height": height,
        "boxes": np.round(found.boxes, 3).tolist(),
        "labels": list(found.labels),
        "names": list(found.names),
        "label_scores": [round(score, 6) for score in found.label_scores],
        "scores": [round(score, 6) for score in found.scores],
    }
    if found.moment is not None:
        line |= {"frame": found.moment.frame, "time": round(found.moment.time, 6)}
    if found.peaks:
        line["peaks"] = [None if p is None else np.round(p, 3).tolist() for p in found.peaks]
    if found.map_shares:
        line["map_shares"] = [round(share, 6) for share in found.map_shares]
    if found.top_labels:
        line["top_labels"] = list(found.top_labels)
    if found.blank:
        line["blank"] = True
    if masks and found.mask is not None:
        line["mask"] = {"size": [height, width], "counts": _mask_to_rle(found.mask)}
    if found.regions:
        line["proposals"] = [
            {
                "box": np.round(region.box, 3).tolist(),
                "score": round(region.score, 6),
                "label": region.label,
                "chosen": region.chosen,
            }
            for region in found.regions
        ]
    return line


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a report counts of an image: why it failed, or of each box its class and its score."""

    image_id: str
    error: str | None
    names: Sequence[str | None]
    scores: Sequence[float]

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> "Outcome":
        """That of a line, or of a row with these fields."""
        names, scores = line.get("names") or (), line.get("scores") or ()
        return cls(line["image"], line.get("error"), names, scores)


def from_line(line: Mapping[str, Any], *, masks: bool = False, proposals: bool = False) -> Found:
    """What `to_line` wrote; masks and proposals only if asked for."""
    if "error" in line:
        return ImageError(line["error"], image_id=line["image"])
    return Localization(
        image_id=line["image"],
        size=(line["height"], line["width"]),
        boxes=as_boxes(line["boxes"]),
        labels=tuple(line["labels"]),
        label_scores=tuple(line["label_scores"]),
        scores=tuple(line["scores"]),
        names=tuple(line["names"]),
        peaks=tuple(None if p is None else tuple(p) for p in line.get("peaks", ())),
        map_shares=tuple(line.get("map_shares", ())),
        top_labels=tuple(line.get("top_labels", ())),
        blank=line.get("blank", False),
        mask=_rle_to_mask(line["mask"]) if masks and "mask" in line else None,
        moment=Moment(frame=line["frame"], time=line["time"]) if "frame" in line else None,
        regions=tuple(
            Region(**{**one, "box": np.array(one["box"], dtype=np.float64)})
            for one in line.get("proposals", ())
        )
        if proposals
        else (),
    )


def read_predictions(
    path: Path, *, masks: bool = False, proposals: bool = False
) -> Iterator[tuple[str, Found]]:
    """The image ids and results of a `predictions.jsonl`, in its order, see `from_line`."""
    with path.open(encoding="utf-8") as stream:
        for text in stream:
            line = json.loads(text)
            yield line["image"], from_line(line, masks=masks, proposals=proposals)


def _mask_to_rle(mask: Mask) -> list[int]:
    """COCO's uncompressed run lengths: down the columns, zeros first."""
    from supervision import mask_to_rle

    return [int(count) for count in mask_to_rle(mask)]


def _rle_to_mask(rle: Mapping[str, Any]) -> Mask:
    from supervision import rle_to_mask

    height, width = rle["size"]
    return rle_to_mask(rle["counts"], (width, height)).astype(bool)
