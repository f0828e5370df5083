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
    names = tuple(dict.fromkeys(layers))
    batch.memo.once(("shared layers", classifier.module), lambda: names)


def pass_of(
    classifier: Classifier, batch: Batch, *, layers: Sequence[str] = (), head: bool = True
) -> Pass:
    """The forward pass of the batch under the plain rule; see `gradients.forward`.

    Where it was announced by `share` it runs once for all whose layers are among the announced.
    """
    images = classifier.normalize(batch.pixels)
    announced = batch.memo.known(("shared layers", classifier.module))
    if announced is None or not set(layers) <= set(announced):
        return Pass(forward(classifier, images, layers=layers, head=head), shared=False)
    outputs = batch.memo.once(
        ("pass", classifier.module, head),
        lambda: forward(classifier, images, layers=announced if head else layers, head=head),
    )
    if not set(layers) <= set(outputs.activations):
        return Pass(forward(classifier, images, layers=layers, head=head), shared=False)
    return Pass(outputs, shared=True)
