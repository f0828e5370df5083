"""One forward pass of a batch for several maps, and one backward pass where the graph allows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from gradbox.attribution.gradients import INPUT, By, Outputs, forward, gradients, scalars_of
from gradbox.attribution.targets import Labels, Score, class_target
from gradbox.errors import UsageError
from gradbox.localization import Batch
from gradbox.memo import Memo
from gradbox.models.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Pass:
    """A forward pass, and the derivatives of class scores that were made of it.

    `announced` are the places that others will derive by, none where the pass belongs to one map
    alone. The graph of a `shared` pass has to be kept for the others.
    """

    outputs: Outputs
    memo: Memo
    announced: Sequence[str] = ()

    @property
    def shared(self) -> bool:
        """Whether others will use it, too."""
        return bool(self.announced)

    def derivatives(
        self, labels: Labels, score: Score, places: Sequence[str], *, more: bool = False
    ) -> Mapping[str, Tensor]:
        """The derivative of the score of one class of each image, at these places.

        In a shared pass the first call derives by all that was announced, so one backward pass
        serves all maps of a class. `more` says that other classes follow.

        Raises:
            UsageError: the score does not depend on one of the places.
        """
        key = "derivatives", self.outputs, labels, score
        found, started = self.memo.known(key), self.memo.clock()
        if found is None:
            wanted = tuple(dict.fromkeys((*self.announced, *places)))
            if self.outputs.logits is None or not self.outputs.logits.requires_grad:
                raise UsageError(_independent(places[0]))
            scalars = scalars_of(class_target(labels, score), self.outputs)
            by = [self.outputs.at(place) for place in wanted]
            made = gradients(scalars, by, keep=more or self.shared)
            found = dict(zip(wanted, made, strict=True))
            if self.shared:
                self.memo.keep(key, found, since=started)
        for place in places:
            if found[place] is None:
                raise UsageError(_independent(place))
        return {place: found[place] for place in places}


def _independent(place: str) -> str:
    if place == INPUT:
        return "the score of a class has no gradient at the pixels: use 'rise' or 'occlusion'"
    return f"the score of a class does not depend on {place}: name a layer on the way to the scores"


def share(batch: Batch, classifier: Classifier, places: Sequence[str]) -> None:
    """Announce that several maps of this batch will look at these places, layers or `INPUT`."""
    key, names = ("shared places", classifier.module), tuple(dict.fromkeys(places))
    if batch.memo.known(key) is None:
        batch.memo.keep(key, names, since=batch.memo.clock())


def pass_of(
    classifier: Classifier, batch: Batch, *, places: Sequence[str], head: bool = True
) -> Pass:
    """The forward pass of the batch under the plain rule; see `gradients.forward`.

    It can be derived by `places` alone: the names of layers, and `INPUT` for the pixels; without
    any a black box will do. Where they were announced by `share` it runs once for all.
    """
    memo = batch.memo
    announced = memo.known(("shared places", classifier.module)) or ()
    shared = bool(announced) and set(places) <= set(announced)
    if not shared:
        return Pass(_forward(classifier, batch, places, head), memo)
    key, started = ("pass", classifier.module, head), memo.clock()
    outputs = memo.known(key)
    if outputs is None:
        recorded = announced if head else places  # without the head it stops at the last of them
        outputs = _forward(classifier, batch, recorded, head)
        memo.keep(key, outputs, since=started)
    if not all(_derivable(outputs, place) for place in places):
        return Pass(_forward(classifier, batch, places, head), memo)
    return Pass(outputs, memo, announced)


def _derivable(outputs: Outputs, place: str) -> bool:
    return outputs.images.requires_grad if place == INPUT else place in outputs.activations


def _forward(classifier: Classifier, batch: Batch, places: Sequence[str], head: bool) -> Outputs:
    images = classifier.normalize(batch.pixels)
    layers = [place for place in places if place != INPUT]
    by: By = "pixels" if INPUT in places else "layers" if places else "nothing"
    return forward(classifier, images, layers=layers, head=head, by=by)
