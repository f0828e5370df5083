"""The shipped foreground head: trained, cross-validated, and scored on photographs never shown.

    python benchmarks/foreground.py ship src/gradbox/foreground/data/efficientnet_lite0.safetensors
    python benchmarks/foreground.py folds runs/heads
    python benchmarks/foreground.py photographs csv:$GRADBOX_ASSETS/data/raccoon
    python benchmarks/foreground.py untouched

`ship` trains on ImageNet's validation images in $GRADBOX_ASSETS but for those that are `untouched`.
`folds` trains five heads, each on four fifths of the same images, and scores each on the fifth that
it has not seen; `--folds 2` does so with the first two. The heads of the folds are not shipped.
Each row is a classifier, the recognized class, and P x CAM^0.15 from 0.4 of the maximum on; the
last columns are CorLoc where the largest object covers less than 15 % of the image, and where there
are several. `--size` and `--dice` train the heads of the folds with other options, for ablations.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np

from gradbox.boxes import area
from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.errors import ImageError
from gradbox.foreground.training import HeadTraining, look, teach, train_head
from gradbox.localization import Sample
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize
from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import best_iou

SETS = ("imagenet_dev", "imagenet_dogs10")
FOLDS = 5
BOX = "threshold(0.4)"
SMALL = 0.15


def untouched(image_id: str) -> bool:
    """Whether an image is kept for one look at the end: about 19 % of them, by a hash of the name.

    What is chosen by cross-validation, the head's form, a power, a threshold, a calibration, is
    tuned on the images of the folds; on these nothing is.
    """
    return _digest(image_id)[-1] in "012"


def fold_of(image_id: str) -> int:
    """The part of the cross-validation that an image is scored in; the same for any selection."""
    return int(_digest(image_id)[:8], 16) % FOLDS


def _digest(image_id: str) -> str:
    return sha256(PurePosixPath(image_id).name.encode()).hexdigest()


def photographs(*, kept: bool) -> list[Sample]:
    """The images of both sets that are, or are not, kept untouched."""
    data = Path(os.environ["GRADBOX_ASSETS"]) / "data"
    sets = [load_dataset(f"csv:{data / name}").samples for name in SETS]
    return [s for samples in sets for s in samples if untouched(s.image_id) == kept]


def ship(out: Path) -> None:
    train_head(photographs(kept=False), trained_on=SETS, track=track).save(out)


def folds(folder: Path, count: int, options: HeadTraining) -> list[tuple[Path, list[Sample]]]:
    """A head for each fold, trained once into the folder, and the images that it has not seen."""
    samples = photographs(kept=False)
    paths = [folder / f"fold{number}.safetensors" for number in range(count)]
    if not all(path.exists() for path in paths):
        with look(samples, options=options, track=track) as examples:
            for number, path in enumerate(paths):
                others = examples.only(lambda s, n=number: fold_of(s.image_id) != n)
                head = teach(others, trained_on=SETS, options=options, track=track)
                head.save(path)
    return [
        (path, [s for s in samples if fold_of(s.image_id) == number])
        for number, path in enumerate(paths)
    ]


def methods(head: Path | None) -> list[str]:
    """CAM alone, and the foreground at one size and at two, with this head."""
    given = "" if head is None else f", head='{head}'"
    return [
        "gradcam",
        *(
            f"product(foreground(sizes={sizes}{given}), gradcam, powers=[1, 0.15])"
            for sizes in ("[224]", "[224, 448]")
        ),
    ]


def networks() -> dict[str, Classifier]:
    """The built-in classifier and the four of $GRADBOX_ASSETS/models."""
    cards = sorted((Path(os.environ["GRADBOX_ASSETS"]) / "models").glob("*.toml"))
    return {DEFAULT_MODEL: load_classifier()} | {c.stem: load_classifier(str(c)) for c in cards}


def ious(samples: Sequence[Sample], classifier: Classifier, method: str) -> np.ndarray:
    values = []
    found = localize(samples, classifier, method=method, box=BOX)
    for sample, one in zip(samples, found, strict=True):
        if isinstance(one, ImageError):
            raise one
        values.append(best_iou(one.boxes[0], sample.boxes))
    return np.array(values)


def table(heads: Sequence[tuple[Path | None, Sequence[Sample]]]) -> None:
    """A row for each classifier and method, over the images of all heads together."""
    print(
        "| classifier | method | images | CorLoc % | 95 % interval | mean IoU | 95 % interval "
        "| small | several |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    samples = [sample for _, part in heads for sample in part]
    small = np.array([largest(sample) < SMALL for sample in samples])
    several = np.array([len(sample.boxes) > 1 for sample in samples])
    for name, classifier in networks().items():
        for of_heads in zip(*(methods(head) for head, _ in heads), strict=True):
            pairs = zip(of_heads, heads, strict=True)
            values = np.concatenate([ious(part, classifier, m) for m, (_, part) in pairs])
            hits, overlap = interval((values > 0.5).astype(np.float64)), interval(values)
            print(
                f"| {name} | `{of_heads[0].replace(_named(heads[0][0]), '')}` | {len(values)} "
                f"| {100 * hits.mean:.1f} | {100 * hits.low:.1f} to {100 * hits.high:.1f} "
                f"| {overlap.mean:.3f} | {overlap.low:.3f} to {overlap.high:.3f} "
                f"| {share(values[small])} | {share(values[several])} |",
                flush=True,
            )


def largest(sample: Sample) -> float:
    """The share of the image that its largest true box covers."""
    height, width = sample.size
    return float(area(sample.boxes).max()) / (height * width)


def share(values: np.ndarray) -> str:
    """CorLoc in %, and of how many."""
    return f"{100 * (values > 0.5).mean():.1f} of {len(values)}" if len(values) else "none"


def _named(head: Path | None) -> str:
    return f", head='{head}'"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = HeadTraining()
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("ship").add_argument("out", type=Path)
    crossed = jobs.add_parser("folds")
    crossed.add_argument("folder", type=Path)
    crossed.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    crossed.add_argument("--size", type=int, action="append")
    crossed.add_argument("--dice", type=float, default=usual.dice)
    others = jobs.add_parser("photographs")
    others.add_argument("dataset")
    others.add_argument("--head", type=Path)
    jobs.add_parser("untouched").add_argument("--head", type=Path)
    options = parser.parse_args()
    if options.job == "ship":
        ship(options.out)
    elif options.job == "folds":
        training = replace(usual, sizes=tuple(options.size or usual.sizes), dice=options.dice)
        table(folds(options.folder, options.folds, training))
    elif options.job == "photographs":
        samples = [s for s in load_dataset(options.dataset).samples if len(s.boxes)]
        table([(options.head, samples)])
    else:
        table([(options.head, photographs(kept=True))])


if __name__ == "__main__":
    main()
