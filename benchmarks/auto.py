"""How sure `auto` is of its boxes: the shipped numbers, learned and cross-validated.

    python benchmarks/auto.py foreground runs/heads src/gradbox/auto/data/foreground.json
    python benchmarks/auto.py strict runs/heads src/gradbox/auto/data/strict.json

The boxes are those of five classifiers in photographs that the foreground head of their fold has
not seen (`benchmarks/foreground.py folds runs/heads`), of the recognized class; in every fourth,
also those of a class that is not there, and those in textures, where no box is right. The printed
rows are cross-validated over the images' folds and, for each classifier, over the classifiers: its
boxes are judged by numbers that are learned from the others'.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from foreground import FOLDS, fold_of, networks, photographs
from jaxtyping import Float

from gradbox import boxes as bx
from gradbox.auto.confidence import Confidence, learn
from gradbox.auto.localizer import AutoLocalizer
from gradbox.auto.method import Auto
from gradbox.cli.console import track
from gradbox.errors import ImageError
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import Batch, Sample
from gradbox.models.classifier import Classifier
from gradbox.scores.calibration import expected_calibration_error

Kind = Literal["foreground", "strict"]
TEXTURES = 60
ABSENT_IN = 4
"""A class that is not there is looked for in every so many photographs."""


@dataclass(frozen=True, eq=False)
class Row:
    """A box: where it is from, its evidence, its best IoU with a true box, whether it is main."""

    classifier: str
    fold: int
    evidence: Float[np.ndarray, "k"]
    iou: float
    main: bool
    real: bool


def rows(
    kind: Kind,
    heads: Path,
    folds: int,
    samples: Sequence[Sample],
    name: str,
    classifier: Classifier,
) -> Iterator[Row]:
    """The boxes of the photographs of so many folds, by the head of each, and of textures."""
    for fold in range(folds):
        own = [sample for sample in samples if fold_of(sample.image_id) == fold]
        own += [texture(i) for i in range(fold, TEXTURES, folds)]
        head = str(heads / f"fold{fold}.safetensors") if kind == "foreground" else None
        method = Auto(foreground=kind == "foreground", head=head, closer=0)
        localizer = method.build(classifier)
        assert isinstance(localizer, AutoLocalizer)
        groups = load_batches(own, classifier.preprocessing, batch_size=16, keep_originals=True)
        for group in track(groups, len(own), f"{name}, fold {fold + 1} of {folds}"):
            usable = [one for one in group if isinstance(one, Loaded)]
            batch = to_batch(usable)
            for i, evidence, boxes in judged(localizer, batch):
                true = usable[i].sample.boxes
                ious = bx.iou(boxes, true).max(axis=1, initial=0.0)
                for number, (line, iou) in enumerate(zip(evidence, ious, strict=True)):
                    yield Row(name, fold, line, float(iou), number == 0, len(true) > 0)
            some = [
                i for i, one in enumerate(usable) if digest(one.sample.image_id, ABSENT_IN) == 0
            ]
            if some:
                other = batch.only(some)
                absent = [(digest(f"class {name}", 1000),) for name in other.image_ids]
                for _, evidence, _ in judged(localizer, other.asking(absent)):
                    for number, line in enumerate(evidence):
                        yield Row(name, fold, line, 0.0, number == 0, real=False)


def judged(localizer: AutoLocalizer, batch: Batch) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The image, the evidence and the boxes of each map that is not blank."""
    maps = localizer.maps(batch)
    for i, candidates in enumerate(localizer.candidates(batch, maps)):
        assert not isinstance(maps[i], ImageError)
        for one in candidates:
            if one.evidence is not None:
                yield i, one.evidence, one.boxes


def digest(text: str, below: int) -> int:
    return int(sha256(text.encode()).hexdigest()[:8], 16) % below


def texture(number: int) -> Sample:
    """Noise of some grain, stripes, a chequerboard, a slope or a plain colour: no object at all."""

    def draw() -> np.ndarray:
        rng = np.random.default_rng(number)
        colours = rng.integers(0, 256, (2, 3)).astype(np.float64)
        y, x = np.mgrid[:320, :320] / rng.integers(8, 64)
        kind = number % 5
        if kind == 0:
            noise = cv2.GaussianBlur(rng.normal(size=(320, 320)), (0, 0), rng.uniform(0.6, 12))
            share = (noise - noise.min()) / np.ptp(noise)
        elif kind == 1:
            angle = rng.uniform(0, np.pi)
            share = 0.5 + 0.5 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)))
        elif kind == 2:
            share = (np.floor(x) + np.floor(y)) % 2
        elif kind == 3:
            share = x / x.max()
        else:
            share = np.clip(rng.normal(0.5, 0.03, (320, 320)), 0, 1)
        return (colours[0] + share[..., None] * (colours[1] - colours[0])).astype(np.uint8)

    return Sample(image_id=f"texture{number}", source=draw)


def crossed(table: Sequence[Row]) -> Float[np.ndarray, "n"]:
    """The probability of each box by numbers learned from other folds and other classifiers."""
    evidence = np.array([row.evidence for row in table])
    hits = np.array([row.iou > 0.5 for row in table])
    folds, names = np.array([row.fold for row in table]), np.array([r.classifier for r in table])
    p = np.zeros(len(table))
    for fold in np.unique(folds):
        for name in np.unique(names):
            others, own = (folds != fold) & (names != name), (folds == fold) & (names == name)
            p[own] = learn(evidence[others], hits[others]).of(evidence[own])
    return p


def report(table: Sequence[Row]) -> None:
    p = crossed(table)
    print("| classifier | main boxes | CorLoc % | mean score | calibration error | correlation |")
    print("|---|---|---|---|---|---|")
    for name in dict.fromkeys(row.classifier for row in table):
        own = [i for i, r in enumerate(table) if r.classifier == name and r.main and r.real]
        ious = np.array([table[i].iou for i in own])
        hits = ious > 0.5
        print(
            f"| {name} | {len(own)} | {100 * hits.mean():.1f} | {p[own].mean():.3f} "
            f"| {expected_calibration_error(p[own], hits):.3f} "
            f"| {np.corrcoef(p[own], ious)[0, 1]:.2f} |"
        )
    for what, chosen in (
        ("further boxes", [i for i, r in enumerate(table) if not r.main and r.real]),
        ("absent classes and textures", [i for i, r in enumerate(table) if r.main and not r.real]),
    ):
        hits = np.array([table[i].iou > 0.5 for i in chosen])
        print(
            f"{what}: {len(chosen)}, {100 * hits.mean():.1f} % right, mean score "
            f"{p[chosen].mean():.3f}, above 0.5 {100 * (p[chosen] > 0.5).mean():.1f} %, "
            f"calibration error {expected_calibration_error(p[chosen], hits):.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["foreground", "strict"])
    parser.add_argument("heads", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folds", type=int, default=FOLDS, choices=range(2, FOLDS + 1))
    parser.add_argument("--limit", type=int, help="so many photographs, the first by a hash")
    options = parser.parse_args()
    samples = sorted(photographs(kept=False), key=lambda s: sha256(s.image_id.encode()).digest())
    samples = [s for s in samples if len(s.boxes) and fold_of(s.image_id) < options.folds]
    samples = samples[: options.limit]
    table = [
        row
        for name, classifier in networks().items()
        for row in rows(options.kind, options.heads, options.folds, samples, name, classifier)
    ]
    report(table)
    evidence = np.array([row.evidence for row in table])
    learned: Confidence = learn(evidence, np.array([row.iou > 0.5 for row in table]))
    options.out.write_text(json.dumps(asdict(learned), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
