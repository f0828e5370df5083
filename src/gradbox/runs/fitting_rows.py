"""The rows that a linear map is fitted on, made in shards and kept until it is fitted.

A part says in its name which shard it is and what it was made of: call, basis, images and their
boxes. What is there under its name is whole and is not made again.
"""

import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Float

from gradbox.attribution.maps import LabelledMap
from gradbox.datasets import Dataset, load_dataset
from gradbox.errors import ImageError
from gradbox.estimators.features import n_features
from gradbox.estimators.fitting import targets_for, to_fit
from gradbox.estimators.learned import Ridge, Sgd
from gradbox.estimators.rows import PART, Rows, TrainingBatch, rows_of
from gradbox.files import hash_bytes
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import ClassFrom, Sample, Selection
from gradbox.methods import layer_name, ready_maps
from gradbox.models.classifier import Classifier
from gradbox.progress import Track
from gradbox.results.inputs import Input
from gradbox.results.sharded import SHARD
from gradbox.runs.batch_size import Asked, BatchSize
from gradbox.runs.engines import Engine
from gradbox.runs.errands import Made, Setup, Step, Todo, basis_of
from gradbox.runs.evaluation import Part, labels_of_units, with_units
from gradbox.runs.execution import Running
from gradbox.runs.sharding import made_by, packed, set_threads
from gradbox.stores import Store, open_store

PARTS = "part-*.safetensors"
"""The names of parts."""
_VALUES = 2**24
"""Features of a shard where nobody says: 64 MiB of float32."""

_Row = tuple[LabelledMap, Float[np.ndarray, "4"], Loaded]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which rows: of which images, the maps of which method, and what is to be learned of them."""

    part: Part
    method: Any
    options: Ridge | Sgd
    class_from: ClassFrom


@dataclass(frozen=True, kw_only=True)
class RowsHow:
    """How parts of `size` images are made, in `place`; `batch_size` shows in last digits alone."""

    place: str
    size: int
    batch_size: Asked
    workers: int

    @classmethod
    def usual(cls, place: str | Path, options: Ridge | Sgd, running: Running) -> "RowsHow":
        """Parts of the size that is asked for, or that fits in memory."""
        width = n_features(to_fit(options), options.grid)
        return cls(
            place=str(place),
            size=running.shard or min(SHARD, max(1, _VALUES // width)),
            batch_size=running.batch_size,
            workers=running.workers,
        )


@dataclass(frozen=True, kw_only=True)
class RowsTask:
    """See `Task`: `wanted` is a pickled `Wanted`, `dataset` the text of the data set."""

    setup: Setup
    wanted: bytes
    dataset: str
    how: RowsHow

    def worker(self) -> "RowsWorker":
        """See `Task`."""
        classifier = self.setup.load()
        wanted = pickle.loads(self.wanted)  # noqa: S301  # of the call that began this process
        return RowsWorker(load_dataset(self.dataset), classifier, wanted, self.how)


class RowsWorker:
    """Makes the parts of the rows, one for each shard of the images; see `Worker`."""

    def __init__(
        self, dataset: Dataset, classifier: Classifier, wanted: Wanted, how: RowsHow
    ) -> None:
        """Find the images that have something to learn from.

        Raises:
            UsageError: there are none, or the method has no maps.
        """
        self.classifier = classifier
        self._dataset, self._wanted, self._how = dataset, wanted, how
        self._options = wanted.options
        self._method, self._maker, self.method_text = ready_maps(
            wanted.method, classifier, wanted.options
        )
        self._samples, self._units_of = with_units(
            dataset, wanted.part.of(dataset.samples), classifier, wanted.class_from
        )
        self._labels_of = labels_of_units(self._units_of, wanted.class_from)
        self._selection = Selection.usual(wanted.class_from)
        self.numbers = range(-(-len(self._samples) // how.size))
        self._names: dict[int, str] = {}

    def task(self) -> RowsTask:
        """What the same worker elsewhere is made of.

        Raises:
            UsageError: something was made in Python, and has no text.
        """
        return RowsTask(
            setup=Setup.of(self.classifier, self._call["basis"]),
            wanted=packed(self._wanted),
            dataset=self._dataset.spec,
            how=self._how,
        )

    @cached_property
    def store(self) -> Store:
        """Where the parts are."""
        return open_store(self._how.place)

    @property
    def layer(self) -> str | None:
        """The layers that the maps look into."""
        return layer_name(self._method, self.classifier)

    @property
    def lacking(self) -> list[Todo]:
        """The shards whose part is not there."""
        there = set(self.store.names())
        return [Todo(number) for number in self.numbers if self._name(number) not in there]

    def images_of(self, number: int) -> Sequence[Sample]:
        """The images of a shard."""
        first = number * self._how.size
        count = min(self._how.size, len(self._samples) - first)
        return [self._samples[i] for i in range(first, first + count)]

    def steps(self, todo: Todo) -> Iterator[Step]:
        """See `Worker`."""
        images = self.images_of(todo.number)
        batches: list[TrainingBatch] = []
        loaded = load_batches(
            images,
            self.classifier.preprocessing,
            batch_size=BatchSize(self._how.batch_size).now,
            workers=self._how.workers,
            keep_originals=self._method.needs_originals,
        )
        for group in loaded:
            batches += self._batch([one for one in group if isinstance(one, Loaded)])
            yield Step(len(group))
        part = rows_of(batches, to_fit(self._options), self._options.grid)
        data = PART.encode(*part)
        self.store.write(self._name(todo.number), data)
        made = Made(number=todo.number, images=len(images), sha256=hash_bytes(data))
        yield Step(0, made)

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """All rows; those of a store elsewhere are brought to this machine for the while."""
        names = [self._name(number) for number in self.numbers]
        if self.store.is_local:
            yield Rows.open([self.store.path(name) for name in names])
            return
        with TemporaryDirectory(prefix="gradbox-") as folder:
            paths = [Path(folder) / name for name in names]
            for path in paths:
                path.write_bytes(self.store.read(path.name))
            yield Rows.open(paths)

    @cached_property
    def _call(self) -> dict[str, Any]:
        """What rows depend on, beside the images."""
        return {
            "method": self.method_text,
            "layer": self.layer,
            "preprocessing": str(self.classifier.preprocessing),
            "head": str(self.classifier.head),
            "class_from": self._wanted.class_from,
            "features": self._options.features,
            "grid": self._options.grid,
            "boxes": self._options.boxes,
            "basis": basis_of(self.classifier, self._how.batch_size),
        }

    def _name(self, number: int) -> str:
        if number not in self._names:
            now = Input.each_now(self.images_of(number), lambda _: None)
            about = [_about(sample, one) for sample, one in now]
            key = hash_bytes(json.dumps([self._call, about], sort_keys=True).encode())[:16]
            self._names[number] = PARTS.replace("*", f"{number:06}-{key}")
        return self._names[number]

    def _batch(self, usable: Sequence[Loaded]) -> Iterator[TrainingBatch]:
        """The rows of a batch, of which there may be none."""
        if not usable:
            return
        maps = self._maker.maps(to_batch(usable, self._labels_of, self._selection))
        rows = [
            row
            for one, of_image in zip(usable, maps, strict=True)
            if not isinstance(of_image, ImageError)
            for row in self._of_image(one, of_image)
        ]
        if rows:
            found, targets, images = zip(*rows, strict=True)
            yield TrainingBatch(
                heatmaps=np.stack([one.heatmap for one in found]),
                targets=np.stack(targets),
                hashes=[one.sha256 for one in images],
                frames=[one.frame for one in images],
                regions=[one.regions for one in found],
            )

    def _of_image(self, one: Loaded, maps: Sequence[LabelledMap]) -> Iterator[_Row]:
        for unit, labelled in zip(self._units_of(one.sample), maps, strict=True):
            for target in targets_for(unit.boxes, one.frame, self._options.boxes):
                yield labelled, target, one


def _about(sample: Sample, now: Input) -> list[Any]:
    """What the rows of an image depend on."""
    truth = sample.boxes.tolist(), list(sample.labels), sample.label
    return [sample.image_id, now.bytes, now.mtime_ns, *truth]


def make_rows(worker: RowsWorker, engine: Engine, track: Track) -> None:
    """Make the parts that are not there, by the threads that are the same whenever it is called.

    Raises:
        UsageError: some part could not be made; what was made is kept.
    """
    engine = engine.sized(worker.classifier, len(worker.numbers))
    set_threads(engine)
    todo = worker.lacking
    count = sum(len(worker.images_of(one.number)) for one in todo)
    if todo:
        for _ in made_by(
            engine, todo, worker, worker.task, lambda steps: track(steps, count, "mapping")
        ):
            pass
