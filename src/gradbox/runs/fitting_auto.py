"""Few boxes for `auto`: the images of a data set looked at once, and what was learned in a file."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from gradbox.auto.fitted import Fitted, Origin
from gradbox.auto.fitting import learn
from gradbox.auto.looks import Example, Looker
from gradbox.auto.method import Auto
from gradbox.errors import UsageError
from gradbox.foreground.last_layer import LastLayer
from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.localization import ClassFrom, Sample, Selection
from gradbox.methods import METHODS
from gradbox.models.classifier import Classifier
from gradbox.runs.batch_size import BatchSize
from gradbox.runs.evaluation import UnitsOf, labels_of_units
from gradbox.runs.execution import Running
from gradbox.specs import canonical


def fit_auto(
    auto: Auto,
    classifier: Classifier,
    samples: Sequence[Sample],
    units_of: UnitsOf,
    out: Path,
    *,
    class_from: ClassFrom,
    running: Running,
) -> Fitted:
    """Learn what pays for `auto` and write it to `out`, see `auto.fitting.learn`.

    Raises:
        UsageError: it is fitted already, or there are too few images.
    """
    if auto.fitted is not None:
        raise UsageError(f"{auto.fitted} is fitted already: leave `fitted` out to fit another one")
    trained = auto.usual_head
    with TemporaryDirectory(prefix="gradbox-") as folder:
        looker = Looker.of(auto, classifier, Path(folder))
        examples = look(looker, samples, units_of, class_from=class_from, running=running)
        learned = learn(
            examples,
            auto.tuned,
            closer=auto.closer,
            spool=looker.spool,
            layer=None if trained is None else LastLayer.of_head(trained),
            track=running.track,
        )
    hashes = frozenset(one.image for one in examples)
    fitted = Fitted(
        tuned=learned.tuned,
        last_layer=learned.last_layer,
        rungs=learned.rungs,
        origin=Origin(
            method=canonical(auto, METHODS),
            model=classifier.name,
            model_hash=classifier.weights_hash,
            head_hash=None if trained is None else trained.seen.sha256,
            preprocessing=str(classifier.preprocessing),
            image_labels=class_from == "truth",
            n_images=len(hashes),
            n_boxes=sum(len(one.truth) for one in examples),
        ),
        image_hashes=hashes,
    )
    fitted.save(out)
    return fitted


def look(
    looker: Looker,
    samples: Sequence[Sample],
    units_of: UnitsOf,
    *,
    class_from: ClassFrom,
    running: Running,
) -> list[Example]:
    """An example for each unit of each image that can be read."""
    labels_of, selection = labels_of_units(units_of, class_from), Selection.usual(class_from)
    loaded = load_batches(
        samples,
        looker.classifier.preprocessing,
        batch_size=BatchSize(running.batch_size).now,
        workers=running.workers,
        keep_originals=True,
    )
    examples: list[Example] = []
    for group in running.track(loaded, len(samples), "looking"):
        usable = [one for one in group if isinstance(one, Loaded)]
        if usable:
            examples += looker.examples(
                to_batch(usable, labels_of, selection),
                [one.sha256 for one in usable],
                [[unit.boxes for unit in units_of(one.sample)] for one in usable],
            )
    return examples
