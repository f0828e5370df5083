"""A named class found among others: two photographs side by side, each found by its class's name.

Paper B's "find the pig among the dogs". A class counts as found where the centre of its box lies in
its photograph; expected: at least 80 % of the classes of 100 pairs. Chance is 50 %.

    python benchmarks/named_class.py csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from gradbox.boxes import centers
from gradbox.datasets import load_dataset
from gradbox.images.decode import load_rgb
from gradbox.localization import Localization, Sample
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize
from gradbox.scores.bootstrap import interval

METHODS = ("dam", "sensitivity")


def pairs(samples: Sequence[Sample], count: int, seed: int) -> Iterator[tuple[Sample, Sample]]:
    """Random pairs of photographs of one object each, of different classes."""
    single = [s for s in samples if len(s.boxes) == 1 and s.label is not None]
    rng = np.random.default_rng(seed)
    for _ in range(count):
        left, right = (single[i] for i in rng.choice(len(single), 2, replace=False))
        while left.label == right.label:
            right = single[rng.integers(len(single))]
        yield left, right


def found(
    classifier: Classifier, method: str, couples: Sequence[tuple[Sample, Sample]]
) -> list[bool]:
    hits = []
    for left, right in couples:
        images = [load_rgb(sample.source) for sample in (left, right)]
        height = min(image.shape[0] for image in images)
        picture = np.concatenate([image[:height] for image in images], axis=1)
        labels = [str(sample.label) for sample in (left, right)]
        (result,) = localize([picture], classifier, method=method, labels=labels)
        assert isinstance(result, Localization)
        middle = images[0].shape[1]
        at = dict(zip(result.labels, centers(result.boxes)[:, 0], strict=True))
        hits.append(at[classifier.class_index(labels[0])] < middle)
        hits.append(at[classifier.class_index(labels[1])] >= middle)
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    couples = list(pairs(load_dataset(options.dataset).samples, options.pairs, options.seed))
    print("| method | classes found % | 95 % interval over pairs |")
    print("|---|---|---|")
    for method in METHODS:
        hits = np.array(found(classifier, method, couples), dtype=np.float64)
        groups = [str(i // 2) for i in range(len(hits))]
        spread = interval(hits, groups)
        span = f"{100 * spread.low:.1f} to {100 * spread.high:.1f}"
        print(f"| {method} | {100 * spread.mean:.1f} | {span} |", flush=True)


if __name__ == "__main__":
    main()
