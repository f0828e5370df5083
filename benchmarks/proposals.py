"""Scored proposals, and a box learned from dam's regions: what they are worth (paper B's outlook).

    python benchmarks/proposals.py recall
    python benchmarks/proposals.py boxes

`recall`: the share of the true boxes, of whatever class, that the best 10, 50 and 100 proposals of
an image find at IoU 0.5, and the mean over IoU 0.5 to 0.95, beside a fixed grid of boxes. The
shipped foreground head has learned from ImageNet photographs, so it stands on the other sets only.
`boxes`: five-fold cross-validation on ImageNet photographs of dam's own box, and of ridge
regression from where its map's mass lies and from its regions. None of the photographs is one that
`foreground.untouched` names. All images are random samples with seed 0.
"""

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from foreground import untouched

from gradbox.boxes import Box
from gradbox.cli.console import track
from gradbox.datasets import limit, load_dataset
from gradbox.errors import ImageError
from gradbox.estimators.fitting import fit, targets_for
from gradbox.estimators.learned import Ridge
from gradbox.estimators.rows import TrainingBatch
from gradbox.localization import Found, Localization, Region, Sample
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize
from gradbox.scores.bootstrap import interval, paired_difference
from gradbox.scores.boxes import best_iou
from gradbox.scores.proposals import COUNTS, OfImage, Proposed

SETS = {"raccoon": 100, "bccd": 80, "caltech101": 120, "imagenet_dev": 100}
METHODS = {
    "foreground": 120,
    "product(foreground, gradcam, powers=[1, 0.2])": 120,
    "dam": 40,
}
"""Each method with how many images of a set it sees at most: dam takes seconds an image."""
SIDES = (0.9, 0.7, 0.5, 0.35, 0.25)
ASPECTS = (0.5, 1.0, 2.0)
IMAGES = 300
FOLDS = 5


def photographs(name: str, count: int) -> list[Sample]:
    folder = Path(os.environ["GRADBOX_ASSETS"]) / "data" / name
    samples = [s for s in load_dataset(f"csv:{folder}").samples if len(s.boxes)]
    if name == "imagenet_dev":
        samples = [s for s in samples if not untouched(s.image_id)]
    return list(limit(samples, count, 0))


def recall() -> None:
    columns = [f"{what} at {count} %" for what in ("recall", "average recall") for count in COUNTS]
    print(f"| set | images, true boxes | proposals | an image | {' | '.join(columns)} |")
    print("|---|---|---|---|" + "---|" * len(columns))
    classifier = load_classifier()
    for name, count in SETS.items():
        samples = photographs(name, count)
        show(name, samples, "fixed grid", map(on_grid, samples))
        for text, most in METHODS.items():
            if name == "imagenet_dev" and "foreground" in text:
                continue
            some = samples[:most]
            found = localize(some, classifier, method=text, proposals=max(COUNTS))
            show(name, some, f"`{text}`", found)


def on_grid(sample: Sample) -> Localization:
    """Boxes of several sizes and shapes about half a box apart, best first from the middle."""
    assert sample.size is not None
    height, width = sample.size
    regions = []
    for side, aspect in product(SIDES, ASPECTS):
        share = np.minimum([side * aspect**0.5, side / aspect**0.5], 1.0)
        for x, y in product(*map(centers, share)):
            box = np.concatenate([[x, y] - share / 2, [x, y] + share / 2])
            middle = -round(float(np.hypot(x - 0.5, y - 0.5)), 6) + side * 1e-3
            box = box * np.array([width, height, width, height])
            regions.append(Region(box=box, score=middle, label=None))
    return Localization(
        image_id=sample.image_id,
        size=sample.size,
        boxes=np.zeros((0, 4)),
        labels=(),
        label_scores=(),
        scores=(),
        regions=tuple(sorted(regions, key=lambda region: -region.score)[: max(COUNTS)]),
    )


def centers(share: float) -> np.ndarray:
    return np.linspace(share / 2, 1 - share / 2, 1 + round(2 * (1 - share) / share))


def show(name: str, samples: Sequence[Sample], what: str, found: Iterable[Found]) -> None:
    images = []
    for number, (sample, one) in enumerate(zip(samples, found, strict=True)):
        if isinstance(one, ImageError):
            raise one
        images.append(OfImage.of(number, one.regions, sample.boxes))
    numbers = Proposed.of(images).summary()
    recalls = [
        f"{100 * share:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        for share, (low, high) in zip(
            numbers["recall50"].values(), numbers["recall50_interval"].values(), strict=True
        )
    ]
    averages = [f"{100 * share:.1f}" for share in numbers["average_recall"].values()]
    print(
        f"| {name} | {len(samples)}, {numbers['n_true_boxes']} | {what} "
        f"| {numbers['n_proposals'] / len(samples):.0f} | {' | '.join(recalls + averages)} |",
        flush=True,
    )


def boxes() -> None:
    models = Path(os.environ["GRADBOX_ASSETS"]) / "models"
    classifier = load_classifier(str(models / "mobilenet_edgetpu.toml"))
    samples = photographs("imagenet_dev", IMAGES)
    rows, own = zip(*seen(samples, classifier), strict=True)
    ious = {
        "`dam`": np.array([best_iou(box, s.boxes) for box, s in zip(own, samples, strict=True)]),
        **{
            f"`dam \\| ridge(features={features})`": held_out(features, rows, samples, classifier)
            for features in ("quantiles", "regions")
        },
    }
    print(f"{len(samples)} images\n")
    print("| box | CorLoc % | mean IoU |")
    print("|---|---|---|")
    for name, values in ious.items():
        hit, overlap = interval(values > 0.5), interval(values)
        print(
            f"| {name} | {100 * hit.mean:.1f} ({100 * hit.low:.1f} to {100 * hit.high:.1f}) "
            f"| {overlap.mean:.3f} ({overlap.low:.3f} to {overlap.high:.3f}) |"
        )
    *others, last = ious
    for other in others:
        hit = paired_difference(ious[last] > 0.5, ious[other] > 0.5)
        overlap = paired_difference(ious[last], ious[other])
        print(
            f"| {last} - {other} | {100 * hit.mean:+.1f} ({100 * hit.low:+.1f} to "
            f"{100 * hit.high:+.1f}) | {overlap.mean:+.3f} ({overlap.low:+.3f} to "
            f"{overlap.high:+.3f}) |"
        )


def seen(samples: Sequence[Sample], classifier: Classifier) -> Iterator[tuple[TrainingBatch, Box]]:
    """The training row of each image, of the recognized class, and dam's own box (4,)."""
    found = localize(samples, classifier, method="dam", details=True, batch_size=8)
    pairs = ([pair] for pair in zip(samples, found, strict=True))
    for ((sample, one),) in track(pairs, len(samples), "localizing"):
        if isinstance(one, ImageError):
            raise one
        frame = classifier.preprocessing.frame(one.size)
        assert one.heatmap is not None
        row = TrainingBatch(
            heatmaps=one.heatmap[None],
            targets=targets_for(sample.boxes, frame, "largest"),
            hashes=[sample.image_id],
            frames=[frame],
            regions=[[replace(region, heatmap=None, mask=None) for region in one.regions]],
        )
        yield row, one.boxes[0]


def held_out(
    features: str,
    rows: Sequence[TrainingBatch],
    samples: Sequence[Sample],
    classifier: Classifier,
) -> np.ndarray:
    """The IoU in each image of the box that was fitted on the folds without it."""
    found = np.zeros(len(rows))
    for fold in range(FOLDS):
        regressor = fit(
            Ridge(features=features),
            [row for i, row in enumerate(rows) if i % FOLDS != fold],
            method="dam",
            model=classifier.name,
            model_hash=classifier.weights_hash,
        )
        for i in range(fold, len(rows), FOLDS):
            ((box,), _) = regressor.estimate(rows[i].heatmaps, rows[i].frames, rows[i].regions)[0]
            found[i] = best_iou(box, samples[i].boxes)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=["recall", "boxes"])
    {"recall": recall, "boxes": boxes}[parser.parse_args().job]()


if __name__ == "__main__":
    main()
