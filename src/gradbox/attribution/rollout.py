"""Attention roll-out: how much of each patch has come, layer by layer, to where classes are read.

Only for transformers whose layers all look at the same tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gradbox.attribution.attention import Attention, Attentions
from gradbox.attribution.cam import resized
from gradbox.attribution.gradients import forward
from gradbox.attribution.layers import Layer, scores_depend_on, spatial_layers
from gradbox.attribution.maps import MapMaker, MapsOfImage, label_maps
from gradbox.attribution.method import KnowsNoClass, MapMethod
from gradbox.attribution.targets import labels_to_locate
from gradbox.errors import UsageError
from gradbox.localization import Batch
from gradbox.models.black_box import refuse_black_box
from gradbox.models.classifier import Classifier

Heads = Literal["mean", "max", "min"]


@dataclass(frozen=True)
class Rollout(KnowsNoClass, MapMethod):
    """Attention roll-out, whatever the class (Abnar & Zuidema, ACL 2020, section 3).

    With A the attention of a layer and I the path around it, R = (A + I) / 2 of the last layer
    times that of the one before, and so on to the first. The map is the row of the class token,
    where there is one and classes are read from it, else the mean over the rows of the patches.
    `heads` says what is made of the heads of a layer; after `max` and `min` rows are brought back
    to a sum of 1.
    """

    heads: Heads = "mean"

    def layers(self, classifier: Classifier) -> Sequence[Layer]:
        """The last layer of tokens; it looks into all of them.

        Raises:
            UsageError: the network has none, or they lie on no known grid.
        """
        refuse_black_box(classifier.module, classifier.name)
        layers = [one for one in spatial_layers(classifier) if len(one.shape) == 2 and one.grid]
        if not layers:
            raise UsageError(
                f"{classifier.name} has no tokens on a grid of rows and columns, so there is no "
                "attention among them to roll out: use 'gradcam' or 'sensitivity'"
            )
        return layers[-1:]

    def maps(self, classifier: Classifier) -> MapMaker:
        """Its heat maps on this classifier."""
        return RolloutMaps(self, classifier)


@dataclass(frozen=True)
class RolloutMaps:
    """The maps of a transformer by its attention; a `MapMaker`."""

    options: Rollout
    classifier: Classifier

    def maps(self, batch: Batch) -> Sequence[MapsOfImage]:
        """One map of each image.

        Raises:
            UsageError: the layers' attention is not among the tokens of the last one.
        """
        (layer,) = self._layers
        images = self.classifier.normalize(batch.pixels)
        with Attentions() as seen:
            outputs = forward(self.classifier, images, by="nothing")
        rolled = rollout(self._of_all_tokens(seen.found, len(images)), self.options.heads)
        rows = rolled[:, layer.prefix_tokens :] if self._reads_patches else rolled[:, :1]
        heatmap = resized(layer.spatial(rows.mean(dim=1)[..., None])[:, 0], images)
        labels = labels_to_locate(self.classifier, outputs.logits, batch)
        return label_maps(self.classifier.head, outputs.logits, labels, [heatmap.cpu().numpy()])

    def _of_all_tokens(self, found: Sequence[Tensor], count: int) -> Sequence[Attention]:
        shapes = {tuple(one.shape[::2]) for one in found}  # images, tokens
        if len(shapes) != 1 or next(iter(shapes))[0] != count:
            seen = ", ".join(f"{n} x {n} of {b}" for b, n in sorted(shapes)) or "none"
            raise UsageError(
                f"{self.classifier.name} has no attention among the same tokens in all its layers "
                f"(found for {count} images: {seen}): use 'gradcam' or 'sensitivity'"
            )
        return found

    @cached_property
    def _layers(self) -> Sequence[Layer]:
        return self.options.layers(self.classifier)

    @cached_property
    def _reads_patches(self) -> bool:
        """Whether classes are read from the patches of the last layer, not from a class token."""
        (layer,) = self._layers
        return not layer.prefix_tokens or scores_depend_on(self.classifier, layer)


def rollout(attentions: Sequence[Attention], heads: Heads = "mean") -> Float[Tensor, "b n n"]:
    """R of `Rollout`: a row says of what tokens of the first layer a token of the last is made."""
    rolled: Tensor | None = None
    for attention in attentions:
        fused = attention.mean(dim=1) if heads == "mean" else getattr(attention, f"a{heads}")(dim=1)
        fused = fused / fused.sum(dim=-1, keepdim=True)
        mixed = (fused + torch.eye(fused.shape[-1], device=fused.device)) / 2
        rolled = mixed if rolled is None else mixed @ rolled
    assert rolled is not None
    return rolled
