"""Learning a box from boxes: the heat maps of a data set to a `Regressor` in a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.attribution.maps import LabelledMap, MapMaker
from gradbox.boxes import BoxChoice
from gradbox.datasets import Dataset
from gradbox.datasets.dataset import check_dataset
from gradbox.errors import ImageError, UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.fitting import TrainingBatch, targets_for
from gradbox.estimators.fitting import fit as fit_regressor
from gradbox.estimators.learned import Regressor, Ridge, Sgd
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import ClassFrom, Sample, Selection
from gradbox.methods import DEFAULT_LEARNED, DEFAULT_METHOD, layer_name, ready_maps
from gradbox.models.classifier import Classifier
from gradbox.runs.evaluation import Part, Units, labels_of_units, with_units
from gradbox.runs.execution import Running
from gradbox.runs.plan import LabelsOf
from gradbox.specs import part_of


def fit(
    dataset: Dataset,
    classifier: Classifier,
    out: Path,
    *,
    box: Any = DEFAULT_LEARNED,
    method: Any = DEFAULT_METHOD,
    class_from: ClassFrom | None = None,
    part: Part | None = None,
    running: Running | None = None,
) -> Regressor:
    """Learn the linear map from heat maps to boxes (A3) and write it to `out`, a safetensors file.

    `box` is `ridge` or `sgd` and `method` one with heat maps, as text or value.

    Raises:
        UsageError: the call is wrong, too few images have a box, or `out` is there and not to be
            overwritten.
    """
    check_dataset(dataset)
    running = running or Running()
    if out.is_dir():
        raise UsageError(f"{out} is a folder: --out takes a file, as in {out / 'box.safetensors'}")
    if out.exists() and not running.overwrite:
        raise UsageError(f"{out} is there already: give another --out, or --overwrite")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}): give another") from error
    options = part_of(box, ESTIMATORS)
    if not isinstance(options, (Ridge, Sgd)):
        raise UsageError(f"{box} has nothing to fit: use ridge or sgd, as in '{DEFAULT_LEARNED}'")
    chosen, maker, text = ready_maps(method, classifier)
    source = class_from or chosen.class_from
    selected = (part or Part()).of(dataset.samples)
    samples, units = with_units(dataset, selected, classifier, source)
    rows = _Rows(
        samples=samples,
        units=units,
        classifier=classifier,
        maker=maker,
        labels_of=labels_of_units(units, source),
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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Where the training rows come from: a map and a box for each unit that has both."""

    samples: Sequence[Sample]
    units: Units
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
            batch_size=running.batch_size,
            workers=running.workers,
            keep_originals=self.keep_originals,
        )
        for group in running.track(loaded, len(self.samples), "mapping"):
            rows = list(self._of_group([one for one in group if isinstance(one, Loaded)]))
            if rows:
                heatmaps, targets, hashes = zip(*rows, strict=True)
                yield np.stack(heatmaps), np.stack(targets), list(hashes)

    def _of_group(self, usable: Sequence[Loaded]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        if not usable:
            return
        maps = self.maker.maps(to_batch(usable, self.labels_of, self.selection))
        for one, of_image in zip(usable, maps, strict=True):
            if not isinstance(of_image, ImageError):
                yield from self._of_image(one, of_image)

    def _of_image(
        self, one: Loaded, maps: Sequence[LabelledMap]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        for unit, labelled in zip(self.units[one.sample.image_id], maps, strict=True):
            for target in targets_for(unit.boxes, one.frame, self.boxes):
                yield labelled.heatmap, target, one.sha256
