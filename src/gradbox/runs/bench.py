"""How fast a classifier and methods are on this machine: `gradbox bench`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from statistics import median
from time import perf_counter
from typing import Any

import torch

from gradbox.errors import UsageError
from gradbox.images.batches import WORKERS, Loaded, load, load_batches, to_batch
from gradbox.localization import Batch, Sample
from gradbox.methods import DEFAULT_METHOD, ReadyMethod, ready
from gradbox.models.classifier import Classifier
from gradbox.progress import Track, silent
from gradbox.runs.batch_size import BatchSize
from gradbox.specs import as_typed

METHODS = (DEFAULT_METHOD, "dam")
MILLION = 1_000_000
_ROUNDS = 3
"""Timed rounds of each job, where there is time for more: more."""
_AT_ONCE = 16
"""Images of a round at most, but for the search of the batch size."""


@dataclass(frozen=True)
class Rate:
    """Images a second: the median of the rounds, the slowest and the fastest one."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a machine does: images a second of each job, and what was best of what was tried.

    `decoding` is with `workers` threads, `forward` with `batch_size` images in one pass, both
    alone; `methods` are maps with boxes of decoded images, by their name.
    """

    model: str
    device: str
    threads: int
    images: int
    workers: int
    batch_size: int
    decoding: Rate
    forward: Rate
    methods: Mapping[str, Rate]

    @property
    def hours(self) -> dict[str, float]:
        """Hours that a million such images take with each method, decoded on the way.

        On a CPU the two share the cores; beside a GPU the slower one is waited for.
        """
        join = sum if self.device == "cpu" else max
        times = {name: (1 / self.decoding.median, 1 / r.median) for name, r in self.methods.items()}
        return {name: MILLION * join(both) / 3600 for name, both in times.items()}


def bench(
    classifier: Classifier,
    samples: Sequence[Sample],
    *,
    methods: Sequence[Any] | None = None,
    seconds: float = 60.0,
    track: Track = silent,
) -> Bench:
    """Measure how fast images are decoded, classified and localized here, within about `seconds`.

    Args:
        classifier: whose input the images become.
        samples: images such as those that are to be localized; few are used again and again.
        methods: texts or values; each is timed with its usual boxes. Without them `METHODS`, less
            what the classifier cannot.
        seconds: in all. A slow method may take longer, as it is timed once at least.
        track: shows progress.

    Raises:
        UsageError: no image can be used, or a wrong method.
    """
    chosen = dict(_ready(methods, classifier))
    keep = any(one.needs_originals for one in chosen.values())
    found = (load(one, classifier.preprocessing, keep_original=keep) for one in samples[:_AT_ONCE])
    loaded = [one for one in found if isinstance(one, Loaded)]
    if not loaded:
        raise UsageError(f"none of {min(len(samples), _AT_ONCE)} images can be used")
    bench = _Bench(classifier, samples, loaded, seconds / (3 + len(chosen)))
    jobs: list[Callable[[], Any]] = [bench.decoding, bench.batch_size, bench.forward]
    jobs += [partial(bench.method, one) for one in chosen.values()]
    steps = track(([job] for job in jobs), len(jobs), "measuring")
    (workers, decoding), batch_size, forward, *rates = [job() for (job,) in steps]
    return Bench(
        model=classifier.name,
        device=classifier.device.type,
        threads=torch.get_num_threads(),
        images=len(samples),
        workers=workers,
        batch_size=batch_size,
        decoding=decoding,
        forward=forward,
        methods=dict(zip(chosen, rates, strict=True)),
    )


def _ready(
    methods: Sequence[Any] | None, classifier: Classifier
) -> Iterator[tuple[str, ReadyMethod]]:
    """Each method by its name, as it was typed."""
    for one in METHODS if methods is None else methods:
        try:
            method = ready(one, "auto", classifier)
            yield as_typed(one, method.text), method
        except UsageError:
            if methods is not None:
                raise


@dataclass
class _Bench:
    """The jobs, each of which takes about `seconds`."""

    classifier: Classifier
    samples: Sequence[Sample]
    loaded: Sequence[Loaded]
    seconds: float
    best: int = 1

    def decoding(self) -> tuple[int, Rate]:
        """The number of workers with the highest rate, and that; one is enough where all are."""
        tried = {n: self._decoding(n) for n in _doubled(WORKERS)}
        highest = max(rate.median for rate in tried.values())
        best = min(n for n, rate in tried.items() if rate.median > 0.95 * highest)
        return best, tried[best]

    def _decoding(self, workers: int) -> Rate:
        count = max(_AT_ONCE, 4 * workers)

        def job() -> None:
            samples = islice(cycle(self.samples), count)
            seen = self.classifier.preprocessing
            for _ in load_batches(samples, seen, batch_size=count, workers=workers):
                pass

        return _rate(job, count, self.seconds / len(_doubled(WORKERS)))

    def batch_size(self) -> int:
        """That with the most images a second in a forward pass."""
        size, until = BatchSize("auto", self.classifier.device.type), perf_counter() + self.seconds
        while size.grows and perf_counter() < until:
            batch, started = self._batch(size.now), perf_counter()
            try:
                self._pass(batch)
            except torch.OutOfMemoryError:
                size.halve(len(batch))
            else:
                size.took(len(batch), perf_counter() - started)
        self.best = size.now
        return self.best

    def forward(self) -> Rate:
        """The bare network, with the best batch size."""
        batch = self._batch(self.best)
        return _rate(lambda: self._pass(batch), self.best, self.seconds)

    def method(self, method: ReadyMethod) -> Rate:
        """A method, with as many images at once as there is time for."""

        def job(count: int) -> None:
            selection = self.classifier.usual_selection(method.class_from)
            batch = self._batch(count)
            method.localizer.localize(batch.asking(batch.labels, selection))

        until = perf_counter() + self.seconds
        job(1)  # with what is loaded, tried or allocated once
        alone = next(_timed(lambda: job(1), 0.0))
        left = until - perf_counter()
        if left < alone:
            return Rate(1 / alone, 1 / alone, 1 / alone)
        count = max(1, min(self.best, _AT_ONCE, int(left / _ROUNDS / alone)))
        return _rate(lambda: job(count), count, left)

    def _pass(self, batch: Batch) -> None:
        with torch.no_grad():
            outputs = self.classifier.module(self.classifier.normalize(batch.pixels))
        if isinstance(outputs, torch.Tensor):
            outputs.cpu()  # which waits for a GPU

    def _batch(self, count: int) -> Batch:
        return to_batch(list(islice(cycle(self.loaded), count)))


def _rate(job: Callable[[], None], count: int, seconds: float) -> Rate:
    """Of a job on so many images, done again and again, at least once."""
    rates = [count / took for took in _timed(job, perf_counter() + seconds)]
    return Rate(median(rates), min(rates), max(rates))


def _timed(job: Callable[[], None], until: float) -> Iterator[float]:
    """The seconds of one job after the other, while another one would end in time."""
    while True:
        started = perf_counter()
        job()
        ended = perf_counter()
        yield ended - started
        if ended + (ended - started) > until:
            return


def _doubled(most: int) -> list[int]:
    """1, 2, 4, ... and the largest number itself.

    >>> _doubled(6)
    [1, 2, 4, 6]
    """
    return [*(2**i for i in range(most.bit_length()) if 2**i < most), most]
