"""What `auto` would find in looked-at images with other settings, and the best of these."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from gradbox.auto.choosing import chosen_of
from gradbox.auto.closer import is_better, is_small
from gradbox.auto.localizer import Candidates
from gradbox.auto.looks import SHARES, Example
from gradbox.auto.settings import Settings, Tuned
from gradbox.scores.boxes import best_iou

POWERS = (0.08, 0.15, 0.3, 0.6)
SIGMAS = (0.0, 8.0, 16.0)
SPLITS = (0.0, 0.8, 0.9, 1.0)

Rows = Int[np.ndarray, "k"]


@dataclass(frozen=True, eq=False)
class Search:
    """Examples, and what is found in them from `usual` on; what was computed once is kept.

    `closer` is the share of the image below which a main box is looked at again.
    """

    examples: Sequence[Example]
    usual: Tuned
    closer: float
    _values: dict[Settings, Float[np.ndarray, "n"]] = field(default_factory=dict)

    def found(self, tuned: Tuned, row: int) -> Candidates:
        """What is found in an example, after the second look."""
        of_looks = []
        for look in self.examples[row].looks:
            several = [look.candidates(one) for one in tuned.settings]
            n = 0 if tuned.choice is None else chosen_of(several, tuned.choice)
            of_looks.append(several[n])
        first, *closer = of_looks
        size = self.examples[row].first.frame.original
        if not closer or not is_small(first.boxes[0], size, self.closer):
            return first
        (finer,) = closer
        scores = [float(one.scores(tuned.confidence)[0]) for one in (finer, first)]
        if not is_better(finer.boxes[0], scores[0], first.boxes[0], scores[1]):
            return first
        assert first.evidence is not None
        assert finer.evidence is not None
        return Candidates(
            boxes=np.concatenate([finer.boxes[:1], first.boxes[1:]]),
            shares=np.concatenate([finer.shares[:1], first.shares[1:]]),
            evidence=np.concatenate([finer.evidence[:1], first.evidence[1:]]),
        )

    def values(self, settings: Settings) -> Float[np.ndarray, "n"]:
        """`value_of` the main box of each example, as sure as usual."""
        if settings not in self._values:
            tuned = replace(self.usual, settings=(settings,), choice=None)
            boxes = [
                one.first.main(settings) if one.closer is None else self.found(tuned, row).boxes[0]
                for row, one in enumerate(self.examples)
            ]
            pairs = zip(boxes, self.examples, strict=True)
            self._values[settings] = np.array(
                [value_of(best_iou(box, one.truth)) for box, one in pairs]
            )
        return self._values[settings]

    def best(self, rows: Rows) -> Settings:
        """The settings of the small grid that are best for these examples.

        The power, the width and the split are chosen one after the other, each with the share.
        Best is the highest mean gain on the usual settings less its standard error, so that few
        examples move little.
        """
        (usual,) = self.usual.settings
        best = usual
        for name, steps in self._axes.items():
            tried = [
                replace(best, share=share, **{name: step})
                for step in steps
                for share in self._shares
            ]
            best = max([best, *tried], key=lambda one: self._gain(one, usual, rows))
        return best

    def near(self, settings: Settings) -> tuple[Settings, ...]:
        """The settings that a choice is made of: these, and those of other powers and shares."""
        powers = {settings.power, *(POWERS[::2] if self._has_power else ())}
        tried = [
            replace(settings, power=power, share=share)
            for power in sorted(powers)
            for share in sorted({settings.share, *SHARES[1::2]})
        ]
        return tuple(dict.fromkeys([settings, *tried]))

    def learn_choice(self, tuned: Tuned, rows: Rows) -> Tuned:
        """With what chooses among the settings `near`: by what speaks for each main box."""
        settings = self.near(tuned.settings[0])
        evidence, targets = [], []
        for row in rows.tolist():
            for one in settings:
                found = self.examples[row].first.candidates(one)
                if found.evidence is not None:
                    evidence.append(found.evidence[0])
                    targets.append(value_of(best_iou(found.boxes[0], self.examples[row].truth)) / 2)
        if not evidence:
            return tuned
        choice = tuned.confidence.adapted(
            np.array(evidence), np.array(targets), weight=1 / len(settings)
        )
        return replace(tuned, settings=settings, choice=choice)

    def _gain(self, settings: Settings, usual: Settings, rows: Rows) -> float:
        gains = (self.values(settings) - self.values(usual))[rows]
        return float(gains.mean() - gains.std() / np.sqrt(len(gains)))

    @cached_property
    def _has_power(self) -> bool:
        looks = [one.first for one in self.examples]
        return any(one.of_class is not None and one.foreground is not None for one in looks)

    @cached_property
    def _axes(self) -> dict[str, tuple[float, ...]]:
        axes = {"power": POWERS, "sigma": SIGMAS, "split": SPLITS}
        return axes if self._has_power else {k: v for k, v in axes.items() if k != "power"}

    @cached_property
    def _shares(self) -> tuple[float, ...]:
        return tuple(sorted({*SHARES, *(one.share for one in self.usual.settings)}))


def value_of(iou: float) -> float:
    """What a fit looks for: the IoU of a main box, and 1 more where it is above 0.5."""
    return iou + float(iou > 0.5)
