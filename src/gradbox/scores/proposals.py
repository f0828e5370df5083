"""Recall of proposals, and `Proposed`, a state that adds up.

It is that of pycocotools' COCOeval over all areas with `useCats` off and these `maxDets`, without
crowds: the proposals of an image are matched with its true boxes, of whatever class, one to one and
best first. (Hosang, Benenson, Dollar & Schiele, "What makes for effective detection proposals?",
PAMI 2016; Lin et al., "Microsoft COCO", ECCV 2014.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gradbox.boxes import Boxes, as_boxes, iou
from gradbox.localization import Found, Localization, Region
from gradbox.scores.bootstrap import Bounds, drawn_bounds
from gradbox.scores.detection import match

COUNTS = (10, 50, 100)
"""How many proposals of an image count, those with the best scores."""
IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""At which IoUs a true box is found; recall is at the first, average recall the mean over all."""


@dataclass(frozen=True, eq=False)
class OfImage:
    """One image: `hits` (t, c) are the true boxes found at each of `IOUS` by each of `COUNTS`."""

    image_id: str
    hits: Int[np.ndarray, "t c"]
    n_true: int
    n_proposals: int

    @classmethod
    def of(cls, image_id: str, regions: Iterable[Region], truth: Boxes) -> "OfImage":
        """Match the proposals, in any order, with the true boxes."""
        best = sorted(regions, key=lambda region: -region.score)
        ious = iou(as_boxes([region.box for region in best[: max(COUNTS)]]), truth)
        found = [match(ious, threshold) for threshold in IOUS]
        hits = [[int(of_iou[:count].sum()) for count in COUNTS] for of_iou in found]
        return cls(image_id, np.array(hits), len(truth), len(best))


@dataclass(frozen=True)
class Proposed:
    """The images scored so far; `a + b` is what one pass over the images of both would give."""

    images: tuple[OfImage, ...] = ()

    def __add__(self, other: "Proposed") -> "Proposed":
        return Proposed(self.images + other.images)

    def summary(self) -> dict[str, Any]:
        """The numbers, ready for JSON and the same in whatever order the images came.

        `recall50` and `average_recall` are shares of all true boxes for each of `COUNTS`, the first
        with 95 % bootstrap intervals over images; None where there is no true box.
        """
        images = sorted(self.images, key=lambda one: one.image_id)
        n_true = np.array([one.n_true for one in images], dtype=np.float64)
        summary: dict[str, Any] = {
            "n_true_boxes": sum(one.n_true for one in images),
            "n_proposals": sum(one.n_proposals for one in images),
        }
        hits = np.zeros((len(images), len(IOUS), len(COUNTS)))
        for row, one in zip(hits, images, strict=True):
            row[:] = one.hits
        for i, count in enumerate(COUNTS):
            hits50 = hits[:, 0, i]
            values = {
                "recall50": _share(hits50, n_true),
                "average_recall": _share(hits[:, :, i].mean(axis=1), n_true),
                "recall50_interval": list(_bounds(hits50, n_true)),
            }
            for key, value in values.items():
                summary.setdefault(key, {})[str(count)] = value
        return summary


def score_proposals(
    truth: Mapping[str, Boxes], found: Iterable[tuple[str, Found]]
) -> dict[str, Any]:
    """The numbers of `Proposed.summary`, over the images that have truth and did not fail."""
    images = (
        OfImage.of(image_id, one.regions, truth[image_id])
        for image_id, one in found
        if isinstance(one, Localization) and image_id in truth
    )
    return Proposed(tuple(images)).summary()


def _share(hits: Float[np.ndarray, "g"], n_true: Float[np.ndarray, "g"]) -> float | None:
    return float(hits.sum() / n_true.sum()) if n_true.any() else None


def _bounds(hits: Float[np.ndarray, "g"], n_true: Float[np.ndarray, "g"]) -> Bounds:
    def recall(times: Float[np.ndarray, "b g"]) -> Float[np.ndarray, "b"]:
        total = times @ n_true
        return np.divide(times @ hits, total, out=np.full(len(times), np.nan), where=total > 0)

    return drawn_bounds(recall, len(hits), cells=len(hits))
