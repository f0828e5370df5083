"""Learning a box from boxes: the heat maps of a data set to a `Regressor` in a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from gradbox.attribution.maps import LabelledMap, MapMaker
from gradbox.auto.fitted import Fitted
from gradbox.auto.method import Auto
from gradbox.boxes import BoxChoice
from gradbox.datasets import Dataset
from gradbox.datasets.dataset import check_dataset
from gradbox.errors import ImageError, UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.fitting import TrainingBatch, targets_for
from gradbox.estimators.fitting import fit as fit_regressor
from gradbox.estimators.learned import Regressor, Ridge, Sgd
from gradbox.files import check_new_file
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import ClassFrom, Sample, Selection
from gradbox.methods import DEFAULT_LEARNED, DEFAULT_METHOD, layer_name, ready_maps, to_method
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.runs.batch_size import BatchSize
from gradbox.runs.evaluation import Part, UnitsOf, labels_of_units, with_units
from gradbox.runs.execution import Running
from gradbox.runs.fitting_auto import fit_auto
from gradbox.runs.plan import LabelsOf, settled
from gradbox.specs import part_of


def fit(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    box: Any = None,
    method: Any = DEFAULT_METHOD,
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    running: Running | None = None,
) -> Regressor | Fitted:
    """Learn from boxes and write it to `out`, a safetensors file.

    With `box` a `ridge` or `sgd`, as text or value, the linear map from the heat maps of `method`
    to boxes (A3). With "auto", which is usual for the method `auto`, what pays of its settings, its
    calibration, a choice among several of its boxes, and the last layer of its foreground.

    Raises:
        UsageError: the call is wrong, too few images have a box, or `out` is there and not to be
            overwritten.
    """
    check_dataset(dataset)
    running = running or Running()
    check_new_file(out, overwrite=running.overwrite)
    value = to_method(method)
    if box is None:
        box = "auto" if isinstance(value, Auto) else DEFAULT_LEARNED
    options = None if box == "auto" else _to_fit(box)
    source = class_from or value.class_from
    selected = (part or Part()).of(dataset.samples)
    classifier = settled(classifier, lambda: selected)
    if options is None:
        if not isinstance(value, Auto):
            raise UsageError(f"box auto is for the method auto, not {method}: use ridge or sgd")
        check_classifier(classifier)
        samples, units_of = with_units(dataset, selected, classifier, source)
        return fit_auto(
            value, classifier, samples, units_of, out, class_from=source, running=running
        )
    chosen, maker, text = ready_maps(value, classifier, options)
    samples, units_of = with_units(dataset, selected, classifier, source)
    rows = _Rows(
        samples=samples,
        units_of=units_of,
        classifier=classifier,
        maker=maker,
        labels_of=labels_of_units(units_of, source),
        selection=Selection.usual(source),
        boxes=options.boxes,
        keep_originals=chosen.needs_originals,
    )
    regressor = fit_regressor(
        options,
        rows.batches(running),
        method=text,
        model=classifier.name,
        model_hash=classifier.weights_hash,
        layer=layer_name(chosen, classifier),
        preprocessing=str(classifier.preprocessing),
        image_labels=source == "truth",
    )
    regressor.save(out)
    return regressor


def _to_fit(box: Any) -> Ridge | Sgd:
    options = part_of(box, ESTIMATORS)
    if not isinstance(options, (Ridge, Sgd)):
        raise UsageError(f"{box} has nothing to fit: use ridge or sgd, as in '{DEFAULT_LEARNED}'")
    return options


_Row = tuple[LabelledMap, Float[np.ndarray, "4"], Loaded]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Where the training rows come from: a map and a box for each unit that has both."""

    samples: Sequence[Sample]
    units_of: UnitsOf
    classifier: Classifier
    maker: MapMaker
    labels_of: LabelsOf
    selection: Selection
    boxes: BoxChoice
    keep_originals: bool

    def batches(self, running: Running) -> Iterator[TrainingBatch]:
        loaded = load_batches(
            self.samples,
            self.classifier.preprocessing,
            batch_size=BatchSize(running.batch_size).now,
            workers=running.workers,
            keep_originals=self.keep_originals,
        )
        for group in running.track(loaded, len(self.samples), "mapping"):
            rows = list(self._of_group([one for one in group if isinstance(one, Loaded)]))
            if rows:
                maps, targets, images = zip(*rows, strict=True)
                yield TrainingBatch(
                    heatmaps=np.stack([one.heatmap for one in maps]),
                    targets=np.stack(targets),
                    hashes=[one.sha256 for one in images],
                    frames=[one.frame for one in images],
                    regions=[one.regions for one in maps],
                )

    def _of_group(self, usable: Sequence[Loaded]) -> Iterator[_Row]:
        if not usable:
            return
        maps = self.maker.maps(to_batch(usable, self.labels_of, self.selection))
        for one, of_image in zip(usable, maps, strict=True):
            if not isinstance(of_image, ImageError):
                yield from self._of_image(one, of_image)

    def _of_image(self, one: Loaded, maps: Sequence[LabelledMap]) -> Iterator[_Row]:
        for unit, labelled in zip(self.units_of(one.sample), maps, strict=True):
            for target in targets_for(unit.boxes, one.frame, self.boxes):
                yield labelled, target, one
