"""Masks made of heat map and image, beside the map alone and boxes, filled.

On images with true masks, split in two halves by the SHA-256 of their file names: options were
chosen on the first half (0 to 7), the second is scored once.

    python benchmarks/outlines.py csv:$GRADBOX_ASSETS/data/caltech101 --half second \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml
"""

import argparse
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from time import perf_counter

import numpy as np

from gradbox.boxes import bounding
from gradbox.datasets import load_dataset
from gradbox.errors import ImageError
from gradbox.estimators.outlines import Outlines
from gradbox.geometry import Mask, filled_box
from gradbox.images.decode import load_rgb
from gradbox.localization import Localization, Sample
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize
from gradbox.scores.bootstrap import interval
from gradbox.scores.masks import MaskScore, MaskScores
from gradbox.scores.run_masks import load_mask

METHOD, BOX = "product(foreground, gradcam, powers=[1, 0.2])", "objects"
NEVER = 2.0  # no IoU is as high, so that the map's mask always stands
OF_MAP = {
    "the map alone": Outlines(agreement=NEVER),
    "`--masks`": Outlines(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--method", default=METHOD)
    parser.add_argument("--box", default=BOX)
    parser.add_argument("--half", choices=("first", "second"), default="first")
    parser.add_argument("--limit", type=int, default=300)
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    chosen = half_of(load_dataset(options.dataset).samples, options.half)[: options.limit]
    found = localize(chosen, classifier, method=options.method, box=options.box, details=True)
    scores: dict[str, list[MaskScore]] = {}
    seconds: dict[str, list[float]] = {}
    for number, (sample, one) in enumerate(zip(chosen, found, strict=True)):
        if isinstance(one, ImageError):
            continue
        assert sample.mask is not None
        truth = load_mask(sample.mask)
        for name, mask, took in masks(sample, one, classifier, truth):
            scores.setdefault(name, []).append(MaskScore.of(number, mask, truth))
            seconds.setdefault(name, []).append(took)
    count = max(map(len, scores.values()), default=0)
    print(f"{Path(options.model).stem}, recognized class, {options.half} half, {count} images\n")
    print("| mask | mean IoU % | 95 % interval | boundary F | ms an image |")
    print("|---|---|---|---|---|")
    for name, of_name in scores.items():
        of_all = MaskScores.of(of_name)
        spread = interval(of_all.values("iou"), of_all.images)
        low, high = f"{100 * spread.low:.1f}", f"{100 * spread.high:.1f}"
        print(
            f"| {name} | {100 * spread.mean:.1f} | {low} to {high} "
            f"| {of_all.values('boundary_f').mean():.3f} | {1000 * np.median(seconds[name]):.0f} |"
        )


def half_of(samples: Sequence[Sample], half: str) -> Sequence[Sample]:
    """The images with a true mask of one half, in the order of the other digits of their hash."""
    masked = {_hash(sample): sample for sample in samples if sample.mask is not None}
    digits = "01234567" if half == "first" else "89abcdef"
    return [masked[key] for key in sorted(masked, key=lambda key: key[1:]) if key[0] in digits]


def _hash(sample: Sample) -> str:
    return sha256(Path(sample.image_id).name.encode()).hexdigest()


def masks(
    sample: Sample, found: Localization, classifier: Classifier, truth: Mask
) -> Iterator[tuple[str, Mask, float]]:
    """Each mask of an image by name, and the seconds that it took."""
    assert found.heatmap is not None
    yield "true box, filled (oracle)", filled_box(bounding(truth), found.size), 0.0
    yield "its box, filled", filled_box(found.boxes[0], found.size), 0.0
    rgb, frame = load_rgb(sample.source), classifier.preprocessing.frame(found.size)
    for name, outlines in OF_MAP.items():
        started = perf_counter()
        mask = outlines.mask(rgb, found.heatmap, frame, found.boxes[0])
        yield name, mask, perf_counter() - started


if __name__ == "__main__":
    main()
