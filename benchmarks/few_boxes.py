"""What `gradbox fit` learns from few boxes of a data set's own: the method `auto` before and after.

    python benchmarks/few_boxes.py csv:$GRADBOX_ASSETS/data/raccoon
    python benchmarks/few_boxes.py csv:$GRADBOX_ASSETS/data/bccd --limit 150

For each number of images and each of `--seeds` that many are drawn by chance to learn from, and all
others are scored. `ridge(features=quantiles)` learns from the same images, of the same maps. Images
are looked at once, for all rows; `--head` is a foreground head that has seen none of them.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gradbox.auto.fitting import Learned, learn
from gradbox.auto.looks import Example, Looker, seen_by
from gradbox.auto.method import Auto
from gradbox.auto.search import Search
from gradbox.boxes import BoxChoice, iou
from gradbox.cli.console import track
from gradbox.datasets import limit, load_dataset
from gradbox.estimators.fitting import fit, targets_for
from gradbox.estimators.learned import Ridge
from gradbox.estimators.rows import TrainingBatch
from gradbox.foreground.last_layer import LastLayer
from gradbox.foreground.spool import Spool
from gradbox.localization import Sample
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.runs.evaluation import with_units
from gradbox.runs.execution import Running
from gradbox.runs.fitting_auto import look
from gradbox.scores.boxes import best_iou
from gradbox.scores.calibration import expected_calibration_error

COUNTS = (10, 30, 100, 300, 1000)
FEWEST_SCORED = 50


@dataclass(frozen=True, eq=False)
class Scored:
    """The IoU of each main box, and how sure all boxes are on average too much or too little."""

    ious: np.ndarray
    error: float | None

    def __str__(self) -> str:
        sure = "" if self.error is None else f" / {self.error:.2f}"
        return f"{100 * (self.ious > 0.5).mean():.1f} / {self.ious.mean():.3f}{sure}"


@dataclass(frozen=True, eq=False)
class Looked:
    """The images of a data set, looked at once."""

    auto: Auto
    examples: Sequence[Example]
    spool: Spool

    def learned(self, examples: Sequence[Example], seed: int) -> Learned:
        """What a fit learns of these examples."""
        head = self.auto.usual_head
        return learn(
            examples,
            self.auto.tuned,
            closer=self.auto.closer,
            spool=self.spool,
            layer=None if head is None else LastLayer.of_head(head),
            seed=seed,
        )

    def scored(self, examples: Sequence[Example], learned: Learned | None) -> Scored:
        """What is found in the examples by what was learned, or by `auto` as it is."""
        tuned = self.auto.tuned if learned is None else learned.tuned
        if learned is not None and learned.last_layer is not None:
            examples = [seen_by(learned.last_layer, one, self.spool) for one in examples]
        search = Search(examples, self.auto.tuned, self.auto.closer)
        found = [search.found(tuned, row) for row in range(len(examples))]
        overlaps = [iou(f.boxes, e.truth).max(axis=1) for f, e in zip(found, examples, strict=True)]
        scores = np.concatenate([one.scores(tuned.confidence) for one in found])
        hits = np.concatenate(overlaps) > 0.5
        return Scored(
            np.array([one[0] for one in overlaps]), expected_calibration_error(scores, hits)
        )

    def by_ridge(self, examples: Sequence[Example], others: Sequence[Example]) -> Scored:
        """What the regressor finds that is fitted on the maps of the first examples."""
        (settings,) = self.auto.tuned.settings
        usual: BoxChoice = "largest"
        rows = [
            TrainingBatch(
                e.first.heatmap(settings)[None],
                targets_for(e.truth, e.first.frame, usual),
                [e.image],
            )
            for e in examples
        ]
        regressor = fit(Ridge(features="quantiles"), rows, method="auto", model="", model_hash="")
        ious = []
        for one in others:
            heatmap = one.first.heatmap(settings)[None]
            (found,) = regressor.estimate(heatmap, [one.first.frame])
            ious.append(best_iou(found.boxes[0], one.truth))
        return Scored(np.array(ious), None)


def looked_at(
    auto: Auto, classifier: Classifier, dataset: str, most: int | None, folder: Path
) -> Looked:
    loaded = load_dataset(dataset)
    samples: Sequence[Sample] = [s for s in loaded.samples if len(s.boxes)]
    samples = samples if most is None else limit(samples, most, 0)
    samples, units_of = with_units(loaded, samples, classifier, auto.class_from)
    looker = Looker.of(auto, classifier, folder)
    running = Running(track=track)
    found = look(looker, samples, units_of, class_from=auto.class_from, running=running)
    return Looked(auto, found, looker.spool)


def rows(looked: Looked, seeds: int) -> None:
    """A row for each number of images: the mean over the draws, and what was taken how often."""
    print("| images | as it is | `auto(fitted=FILE)` | `ridge(features=quantiles)` | taken |")
    print("|---|---|---|---|---|")
    for count in COUNTS:
        if len(looked.examples) - count < FEWEST_SCORED:
            break
        before, after, ridge, taken = [], [], [], []
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(looked.examples))
            mine, others = ([looked.examples[i] for i in p] for p in np.split(order, [count]))
            learned = looked.learned(mine, seed)
            before.append(looked.scored(others, None))
            after.append(looked.scored(others, learned))
            ridge.append(looked.by_ridge(mine, others))
            taken += [one.name for one in learned.rungs[1:] if one.taken]
        often = ", ".join(f"{name} {taken.count(name)}x" for name in dict.fromkeys(taken))
        cells = (str(count), *(str(together(one)) for one in (before, after, ridge)), often)
        print(f"| {' | '.join(cells)} |", flush=True)


def together(draws: Sequence[Scored]) -> Scored:
    """All draws as one."""
    errors = [one.error for one in draws if one.error is not None]
    error = float(np.mean(errors)) if errors else None
    return Scored(np.concatenate([one.ious for one in draws]), error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", default=None)
    parser.add_argument("--head", default=None)
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    classifier = load_classifier(options.model) if options.model else load_classifier()
    auto = Auto(head=options.head)
    with TemporaryDirectory(prefix="gradbox-") as folder:
        looked = looked_at(auto, classifier, options.dataset, options.limit, Path(folder))
        rows(looked, options.seeds)


if __name__ == "__main__":
    main()
