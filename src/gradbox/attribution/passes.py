"""One forward pass of a batch for several maps."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradbox.attribution.gradients import Outputs, forward
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass; the graph of a `shared` one has to be kept for the others."""

    outputs: Outputs
    shared: bool


def share(batch: Batch, classifier: Classifier, layers: Sequence[str]) -> None:
    """Announce that several maps of this batch will ask for a pass, which records these layers."""
    key, names = ("shared layers", classifier.module), tuple(dict.fromkeys(layers))
    if batch.memo.known(key) is None:
        batch.memo.keep(key, names, since=batch.memo.clock())


def pass_of(
    classifier: Classifier, batch: Batch, *, layers: Sequence[str] = (), head: bool = True
) -> Pass:
    """The forward pass of the batch under the plain rule; see `gradients.forward`.

    Where it was announced by `share` it runs once for all whose layers are among the announced.
    """
    images, memo = classifier.normalize(batch.pixels), batch.memo
    announced = memo.known(("shared layers", classifier.module))
    if announced is None or not set(layers) <= set(announced):
        return Pass(forward(classifier, images, layers=layers, head=head), shared=False)
    key, started = ("pass", classifier.module, head), memo.clock()
    outputs = memo.known(key)
    if outputs is None:
        recorded = announced if head else layers  # without the head it stops at the last of them
        outputs = forward(classifier, images, layers=recorded, head=head)
        memo.keep(key, outputs, since=started)
    if not set(layers) <= set(outputs.activations):
        return Pass(forward(classifier, images, layers=layers, head=head), shared=False)
    return Pass(outputs, shared=True)
