"""The last layer of a foreground head taught anew by few boxes, the rest of it as it was."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from gradbox.boxes import Boxes
from gradbox.foreground.head import Head
from gradbox.foreground.loss import inside_boxes
from gradbox.foreground.views import mean_of_views

_STEPS = 20
_PULL = 1.0
"""The penalty on the squared distance from the weights that the head had, of one image."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LastLayer:
    """What takes the place of the last layer of a head's network."""

    weight: Float[np.ndarray, "1 width 3 3"]
    bias: Float[np.ndarray, "1"]

    @classmethod
    def of_head(cls, head: Head) -> "LastLayer":
        """The one that a head has."""
        last = head.network.last
        assert last.bias is not None
        return cls(weight=last.weight.detach().numpy(), bias=last.bias.detach().numpy())

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> "LastLayer | None":
        """The one that a file has, None where it has none."""
        if "last_weight" not in arrays:
            return None
        return cls(weight=arrays["last_weight"], bias=arrays["last_bias"])

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What a file keeps of it."""
        return {"last_weight": self.weight, "last_bias": self.bias}

    def logits(self, read: Float[Tensor, "b width h w"]) -> Float[Tensor, "b h w"]:
        """The logits of P, from what it reads."""
        return _logits(read, torch.from_numpy(self.weight), torch.from_numpy(self.bias))

    def foreground(
        self, views: Sequence[Float[Tensor, "b width _ _"]], size: Sequence[int]
    ) -> Float[Tensor, "b h w"]:
        """P from what it reads at several sizes, on the input's (height, width) or more cells."""
        return mean_of_views([self.logits(one).sigmoid() for one in views], size)

    def taught(
        self, views: Sequence[Float[Tensor, "images width _ _"]], boxes: Sequence[Boxes]
    ) -> "LastLayer":
        """This layer taught by images, all at once in each step (L-BFGS, Liu & Nocedal 1989).

        The fewer they are, the nearer it stays to what it was.

        Args:
            views: what it reads of the images, at several input sizes.
            boxes: the true boxes of each image, in shares of the input's width and height.
        """
        inside = [_inside(boxes, *view.shape[2:]) for view in views]
        with torch.inference_mode(False), torch.enable_grad():
            start = [torch.from_numpy(one) for one in (self.weight, self.bias)]
            weight, bias = (one.clone().requires_grad_() for one in start)
            optimizer = torch.optim.LBFGS(
                [weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe"
            )

            def loss() -> Tensor:
                moved = ((weight - start[0]) ** 2).sum() + ((bias - start[1]) ** 2).sum()
                found = _PULL / len(boxes) * moved
                for view, wanted in zip(views, inside, strict=True):
                    logits = _logits(view, weight, bias)
                    found = found + F.binary_cross_entropy_with_logits(logits, wanted) / len(views)
                optimizer.zero_grad()
                torch.autograd.backward(found)
                return found

            optimizer.step(loss)  # type: ignore[no-untyped-call]
        return LastLayer(weight=weight.detach().numpy(), bias=bias.detach().numpy())

    def in_place(self, head: Head) -> Head:
        """The head with this layer.

        Raises:
            ValueError: the head's network has another width.
        """
        with torch.inference_mode(False):
            network = deepcopy(head.network)
            if network.last.weight.shape != self.weight.shape:
                have = tuple(network.last.weight.shape)
                raise ValueError(f"a last layer of {self.weight.shape}, not {have}")
            tensors = {"weight": torch.from_numpy(self.weight), "bias": torch.from_numpy(self.bias)}
            network.last.load_state_dict(tensors)
        return replace(head, network=network)


def _logits(
    read: Float[Tensor, "b width h w"],
    weight: Float[Tensor, "1 width 3 3"],
    bias: Float[Tensor, "1"],
) -> Float[Tensor, "b h w"]:
    return F.conv2d(read, weight, bias, padding=1)[:, 0]


def _inside(boxes: Sequence[Boxes], rows: int, columns: int) -> Float[Tensor, "images h w"]:
    return torch.from_numpy(np.stack([inside_boxes(one, rows, columns) for one in boxes]))
