"""Recall of proposals, and `Proposed`, a state that adds up.

It is that of pycocotools' COCOeval over all areas with `useCats` off and these `maxDets`, without
crowds: the proposals of an image are matched with its true boxes, of whatever class, one to one and
best first. (Hosang, Benenson, Dollar & Schiele, "What makes for effective detection proposals?",
PAMI 2016; Lin et al., "Microsoft COCO", ECCV 2014.)
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from gradbox.boxes import Boxes, as_boxes, iou
from gradbox.localization import Region
from gradbox.scores.bootstrap import Bounds, bags, drawn_bounds
from gradbox.scores.columns import Columns
from gradbox.scores.detection import match

COUNTS = (10, 50, 100)
"""How many proposals of an image count, those with the best scores."""
IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""At which IoUs a true box is found; recall is at the first, average recall the mean over all."""


@dataclass(frozen=True, eq=False)
class OfImage:
    """One image: `hits` (t, c) are the true boxes found at each of `IOUS` by each of `COUNTS`.

    `image` is its number in the run.
    """

    image: int
    hits: Int[np.ndarray, "t c"]
    n_true: int
    n_proposals: int

    @classmethod
    def of(cls, image: int, regions: Iterable[Region], truth: Boxes) -> "OfImage":
        """Match the proposals, in any order, with the true boxes."""
        best = sorted(regions, key=lambda region: -region.score)
        ious = iou(as_boxes([region.box for region in best[: max(COUNTS)]]), truth)
        found = [match(ious, threshold) for threshold in IOUS]
        hits = [[int(of_iou[:count].sum()) for count in COUNTS] for of_iou in found]
        return cls(image, np.array(hits), len(truth), len(best))


class Proposed:
    """The images scored so far; `a + b` is what one pass over the images of both would give."""

    def __init__(self) -> None:
        counts = {f"hits{count}": "i4" for count in COUNTS} | {f"mean{c}": "f8" for c in COUNTS}
        self._images = Columns({"image": "i4", "n_true": "i4", "n_proposals": "i4", **counts})

    @classmethod
    def of(cls, images: Iterable[OfImage]) -> "Proposed":
        """The state after these images."""
        proposed = cls()
        for one in images:
            proposed.add(one)
        return proposed

    def add(self, one: OfImage) -> None:
        """Count one more image: its hits at the first IoU, and the mean over all of them."""
        hits = (*one.hits[0], *one.hits.mean(axis=0))
        self._images.append((one.image, one.n_true, one.n_proposals, *hits))

    def __add__(self, other: "Proposed") -> "Proposed":
        both = Proposed()
        both._images.extend(self._images)
        both._images.extend(other._images)
        return both

    def summary(self) -> dict[str, Any]:
        """The numbers, ready for JSON and the same in whatever order the images came.

        `recall50` and `average_recall` are shares of all true boxes for each of `COUNTS`, the first
        with 95 % bootstrap intervals over images; None where there is no true box.
        """
        order = np.argsort(self._images["image"], kind="stable")
        n_true = self._images["n_true"][order].astype(np.float64)
        summary: dict[str, Any] = {
            "n_true_boxes": int(n_true.sum()),
            "n_proposals": int(self._images["n_proposals"].sum()),
        }
        for count in COUNTS:
            hits50 = self._images[f"hits{count}"][order].astype(np.float64)
            values = {
                "recall50": _share(hits50, n_true),
                "average_recall": _share(self._images[f"mean{count}"][order], n_true),
                "recall50_interval": list(_bounds(hits50, n_true)),
            }
            for key, value in values.items():
                summary.setdefault(key, {})[str(count)] = value
        return summary


def _share(hits: Float[np.ndarray, "g"], n_true: Float[np.ndarray, "g"]) -> float | None:
    return float(hits.sum() / n_true.sum()) if n_true.any() else None


def _bounds(hits: Float[np.ndarray, "g"], n_true: Float[np.ndarray, "g"]) -> Bounds:
    bag = bags(len(hits))
    hits, n_true = np.bincount(bag, weights=hits), np.bincount(bag, weights=n_true)

    def recall(times: Float[np.ndarray, "b g"]) -> Float[np.ndarray, "b"]:
        total = times @ n_true
        return np.divide(times @ hits, total, out=np.full(len(times), np.nan), where=total > 0)

    return drawn_bounds(recall, len(hits), cells=len(hits))
