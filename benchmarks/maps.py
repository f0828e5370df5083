"""Every heat map on every network: CorLoc and mean IoU with the best fixed rule from map to box.

The rule is chosen for each network and map on one half of the images and measured on the other. A
box is made for the recognized class and held against all true boxes of its image.

    python benchmarks/maps.py csv:$GRADBOX_ASSETS/data/imagenet_dev efficientnet_lite0 \
        $GRADBOX_ASSETS/models/*.toml

Maps of one network share their passes. Those that cost many passes (`--slow`) are made for the
first `--slow-limit` images of each half; their interval says how much that is worth.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gradbox.attribution.gradients import INPUT
from gradbox.attribution.maps import LabelledMap, MapsOfImage
from gradbox.attribution.method import Method
from gradbox.attribution.passes import share
from gradbox.datasets import load_dataset, split
from gradbox.errors import ImageError, UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.untrained import Center
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import Batch, Sample
from gradbox.methods import METHODS
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.scores.bootstrap import interval
from gradbox.scores.boxes import best_iou
from gradbox.specs import build

FAST = (
    "sensitivity",
    "sensitivity(target=layer_mean, reduce=max)",
    "gradient_x_input",
    "gradcam",
    "gradcam(layer=stride16)",
    "hirescam",
    "gradcam_pp",
    "xgradcam",
    "layercam",
    "layercam(layer=[stride16, last])",
    "eigencam",
    "product(sensitivity, gradcam)",
    "product(smooth(sensitivity, sigma=12), gradcam)",
)
SLOW = (
    "guided_gradcam",
    "smoothgrad",
    "integrated_gradients",
    "dam",
    "occlusion(calls=100)",
    "rise(calls=100)",
)
RULES = (
    *(f"threshold({t}, sigma={s})" for t in (0.1, 0.2, 0.3, 0.4, 0.5) for s in (0.0, 8.0)),
    *(f"mass(floor={f}, trim={t})" for f in (0.3, 0.5, 0.7) for t in (0.02, 0.04, 0.08)),
    *(f"top_fraction({f}, sigma=8)" for f in (0.2, 0.4)),
)
ESTIMATES = {rule: build(rule, ESTIMATORS) for rule in RULES}
Overlaps = Mapping[tuple[str, str], Sequence[float]]
"""The IoU of each image by map and rule."""


def overlaps(
    samples: Sequence[Sample], classifier: Classifier, texts: Sequence[str]
) -> dict[tuple[str, str], list[float]]:
    methods: dict[str, Method] = {}
    for text in texts:
        try:
            methods[text] = build(text, METHODS)
            methods[text].layers(classifier)
        except UsageError as error:
            print(f"{classifier.name}, {text}: {error}")
            methods.pop(text, None)
    places = [layer.name for m in methods.values() for layer in m.layers(classifier)]
    makers = {text: method.maps(classifier) for text, method in methods.items()}
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for loaded in load_batches(samples, classifier.preprocessing, batch_size=16):
        usable = [one for one in loaded if isinstance(one, Loaded)]
        batch, truth = to_batch(usable), [one.sample.boxes for one in usable]
        share(batch, classifier, [INPUT, *places])
        for text, maker in list(makers.items()):
            try:
                maps = maker.maps(batch)
            except UsageError as error:
                print(f"{classifier.name}, {text}: {error}")
                del makers[text]
                continue
            for rule, ious in _ious(maps, batch, truth).items():
                found[text, rule] += ious
    return {key: ious for key, ious in found.items() if key[0] in makers}


def _ious(
    maps: Sequence[MapsOfImage], batch: Batch, truth: Sequence[np.ndarray]
) -> dict[str, list[float]]:
    heatmaps = np.stack([_only(one).heatmap for one in maps])
    return {
        rule: [
            best_iou(boxes[0], boxes_of_image)
            for (boxes, _), boxes_of_image in zip(
                estimator.estimate(heatmaps, batch.frames), truth, strict=True
            )
        ]
        for rule, estimator in ESTIMATES.items()
    }


def _only(found: MapsOfImage) -> LabelledMap:
    assert not isinstance(found, ImageError)
    return found[0]


def row(network: str, name: str, rule: str, ious: Sequence[float]) -> str:
    values = np.array(ious)
    hits, mean = interval((values > 0.5).astype(float)), interval(values)
    return (
        f"| {network} | `{name}` | `{rule}` | {100 * hits.mean:.1f} "
        f"({100 * (hits.low or 0):.1f}-{100 * (hits.high or 0):.1f}) | {mean.mean:.3f} "
        f"({mean.low:.3f}-{mean.high:.3f}) | {len(values)} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--limit", type=int, help="images of each half")
    parser.add_argument("--slow-limit", type=int, default=30)
    parser.add_argument("--fast", nargs="*", default=FAST)
    parser.add_argument("--slow", nargs="*", default=SLOW)
    options = parser.parse_args()
    samples = load_dataset(options.dataset).samples
    halves = [split(samples, (0.5, 0.5), part, 0)[: options.limit] for part in (1, 2)]
    print("| network | map | rule | CorLoc % | mean IoU | images |\n|---|---|---|---|---|---|")
    for model in options.models:
        classifier = load_classifier(model)
        name = Path(model).stem
        center = Center().estimate
        for sort, limit in ((options.fast, None), (options.slow, options.slow_limit)):
            chosen_on, measured = (
                overlaps(half[:limit], classifier, sort) if sort else {} for half in halves
            )
            for text in dict.fromkeys(text for text, _ in measured):
                rule = max(RULES, key=lambda one, text=text: np.mean(chosen_on[text, one]))
                print(row(name, text, rule, measured[text, rule]), flush=True)
        frames = [(classifier.preprocessing.frame(s.size), s) for s in halves[1] if s.size]
        ious = [
            best_iou(center(np.ones((1, 8, 8)), [frame])[0].boxes[0], s.boxes)
            for frame, s in frames
        ]
        print(row(name, "", "center(0.8)", ious), flush=True)


if __name__ == "__main__":
    main()
