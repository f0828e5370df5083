"""Learning a box from boxes: the heat maps of a data set to a `Regressor` in a file."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradbox.auto.fitted import Fitted
from gradbox.auto.method import Auto
from gradbox.datasets import Dataset
from gradbox.datasets.dataset import check_dataset
from gradbox.errors import UsageError
from gradbox.estimators import ESTIMATORS
from gradbox.estimators.fitting import fit_rows
from gradbox.estimators.learned import Regressor, Ridge, Sgd
from gradbox.files import check_new_file
from gradbox.localization import ClassFrom
from gradbox.methods import DEFAULT_LEARNED, DEFAULT_METHOD, to_method
from gradbox.models.classifier import Classifier, check_classifier
from gradbox.runs.evaluation import Part, with_units
from gradbox.runs.execution import Running
from gradbox.runs.fitting_auto import fit_auto
from gradbox.runs.fitting_rows import PARTS, RowsHow, RowsWorker, Wanted, make_rows
from gradbox.runs.plan import settled
from gradbox.runs.sharding import set_threads
from gradbox.specs import is_comparable, part_of


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
    rows: str | Path | None = None,
) -> Regressor | Fitted:
    """Learn from boxes and write it to `out`, a safetensors file.

    With `box` a `ridge` or `sgd`, as text or value, the linear map from the heat maps of `method`
    to boxes (A3). With "auto", which is usual for the method `auto`, what pays of its settings, its
    calibration, a choice among several of its boxes, and the last layer of its foreground.

    `rows`, a folder or a URL, keeps what the linear map is fitted on, for another fit; otherwise it
    stands beside `out` until that is written, so that a call that was stopped goes on.

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
    part = part or Part()
    classifier = settled(classifier, lambda: part.of(dataset.samples))
    if options is None:
        if not isinstance(value, Auto):
            raise UsageError(f"box auto is for the method auto, not {method}: use ridge or sgd")
        if rows is not None or running.shard is not None or running.engine.needs_shards:
            raise UsageError(
                "auto is fitted in one process, without parts: leave out --rows, --shard, "
                "--processes and --engine, or fit a ridge"
            )
        set_threads(running.engine)
        check_classifier(classifier)
        samples, units_of = with_units(dataset, part.of(dataset.samples), classifier, source)
        return fit_auto(
            value, classifier, samples, units_of, out, class_from=source, running=running
        )
    wanted = Wanted(part=part, method=value, options=options, class_from=source)
    with ExitStack() as stack:
        goes_on = is_comparable(value) and classifier.is_comparable
        place = rows or stack.enter_context(_beside(out, goes_on=goes_on))
        how = RowsHow.usual(place, options, running)
        worker = RowsWorker(dataset, classifier, wanted, how)
        make_rows(worker, running.engine, running.track)
        regressor = fit_rows(
            options,
            stack.enter_context(worker.rows()),
            method=worker.method_text,
            model=classifier.name,
            model_hash=classifier.weights_hash,
            layer=worker.layer,
            preprocessing=str(classifier.preprocessing),
            image_labels=source == "truth",
        )
        regressor.save(out)
    return regressor


@contextmanager
def _beside(out: Path, *, goes_on: bool) -> Iterator[str]:
    """A folder for the rows, until the block ends well, or, if no call goes on from it, ends."""
    if not goes_on:
        with TemporaryDirectory(prefix="gradbox-") as passing:
            yield passing
        return
    folder = out.with_name(f"{out.name}.rows")
    yield str(folder)
    for path in folder.glob(PARTS):
        path.unlink()
    with suppress(OSError):  # what others have put there stays
        folder.rmdir()


def _to_fit(box: Any) -> Ridge | Sgd:
    options = part_of(box, ESTIMATORS)
    if not isinstance(options, (Ridge, Sgd)):
        raise UsageError(f"{box} has nothing to fit: use ridge or sgd, as in '{DEFAULT_LEARNED}'")
    return options
