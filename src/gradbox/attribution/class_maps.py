"""What every map made of a pass of the network shares: classes, passes, a map for each class."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.gradients import INPUT
from gradbox.attribution.layers import Layer
from gradbox.attribution.maps import MapMaker, MapsOfImage, label_maps, slots
from gradbox.attribution.method import MapMethod
from gradbox.attribution.passes import Pass, pass_of
from gradbox.attribution.targets import Labels, labels_to_locate, needs_head
from gradbox.localization import Batch
from gradbox.models.black_box import refuse_black_box
from gradbox.models.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Look:
    """What a map is made of: a classifier, its layers, a pass of the batch, and the classes.

    `labels` has one class of each image, for the first classes of the images, for the second and
    so on; it is empty where the method needs no class.
    """

    classifier: Classifier
    layers: Sequence[Layer]
    run: Pass
    labels: Sequence[Labels]

    @property
    def images(self) -> Float[Tensor, "b c h w"]:
        """The normalized input, apart from the graph of the pass."""
        return self.run.outputs.images.detach()

    def follow(self, number: int) -> bool:
        """Whether classes follow after those of this number."""
        return number + 1 < len(self.labels)


class ClassMapMethod(MapMethod):
    """A map method whose maps come from a pass of the network; only `heatmaps` is missing."""

    @property
    def needs_scores(self) -> bool:
        """Whether the scores are read even where no class is asked for: the head is run."""
        return True

    def maps(self, classifier: Classifier) -> MapMaker:
        """Its heat maps on this classifier."""
        return ClassMaps(self, classifier)

    @abstractmethod
    def heatmaps(self, look: Look) -> Iterable[Float[Tensor, "b h w"]]:
        """The maps (b, h, w) of all images for the first class, the second, and so on.

        A method that needs no class gives one for all. Values are not negative.
        """


@dataclass(frozen=True)
class ClassMaps:
    """The maps of a classifier by a method; a `MapMaker`."""

    options: ClassMapMethod
    classifier: Classifier

    def __post_init__(self) -> None:
        refuse_black_box(self.classifier.module, self.classifier.name)

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """The maps of each image, one for each class asked for, main class first.

        A method that knows no class has one map, whatever the number of classes.

        Raises:
            UsageError: the method needs a class but none is wanted.
        """
        head = needs_head(batch, needs_class=self.options.needs_class) or self.options.needs_scores
        run = pass_of(self.classifier, batch, places=self._places, head=head)
        labels = labels_to_locate(self.classifier, run.outputs.logits, batch)
        look = Look(self.classifier, self._layers, run, self._classes(labels))
        heatmaps = [one.cpu().numpy() for one in self.options.heatmaps(look)]
        return label_maps(self.classifier.head, run.outputs.logits, labels, heatmaps)

    @cached_property
    def _layers(self) -> Sequence[Layer]:
        return self.options.layers(self.classifier)

    @cached_property
    def _places(self) -> Sequence[str]:
        pixels = (INPUT,) if self.options.derives_pixels else ()
        return (*pixels, *(layer.name for layer in self._layers))

    def _classes(self, labels: Sequence[Sequence[int | None]]) -> Sequence[Labels]:
        if not self.options.needs_class:
            return ()
        return [tuple(one for one in asked if one is not None) for asked in slots(labels)]
