"""A foreground head that has been trained, with its backbone; the shipped one, and files."""

import json
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gradbox.errors import UsageError
from gradbox.foreground.backbone import activations, load_backbone
from gradbox.foreground.network import HeadNetwork, HeadShape
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import RELEASES
from gradbox.models.weights import hash_weights, load_weights
from gradbox.seen import Seen, hashes_of_array, hashes_to_array
from gradbox.tensor_files import TensorFile

FILE = TensorFile(
    format="gradbox.foreground", what="foreground head", command="gradbox foreground train DATASET"
)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a head was trained on: names of data sets, images with boxes, input sizes, the seed.

    `backbone_hash` is the hash of the backbone's weights, which never change.
    """

    trained_on: tuple[str, ...]
    n_images: int
    n_boxes: int
    backbone_hash: str
    sizes: tuple[int, ...]
    epochs: int
    seed: int
    gradbox: str = field(default_factory=lambda: version("gradbox"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """A network that tells objects from background, for any classifier's images.

    `network` is in evaluation mode. `image_hashes` are the SHA-256 of the training images in hex,
    `ilsvrc` their numbers in ImageNet's validation set, where they are of it.
    """

    shape: HeadShape
    network: HeadNetwork
    origin: Origin
    image_hashes: frozenset[str]
    ilsvrc: frozenset[int] = frozenset()

    @cached_property
    def seen(self) -> Seen:
        """The images that it was trained on."""
        return Seen(
            what=f"foreground head: {self.origin.n_images:,} boxed photographs",
            sha256=hash_weights(self.network),
            hashes=self.image_hashes,
            ilsvrc=self.ilsvrc,
        )

    def on(self, device: str) -> "Foregrounds":
        """The head ready to be used on a device, with its backbone.

        Raises:
            UsageError: the backbone is not installed, or has other weights than in training.
        """
        backbone = load_backbone(self.shape.backbone, device)
        if backbone.weights_hash != self.origin.backbone_hash:
            raise UsageError(
                f"this foreground head was trained on {backbone.name} with weights of the hash "
                f"{self.origin.backbone_hash}, not {backbone.weights_hash}: train another one with "
                f"`{FILE.command}`"
            )
        with torch.inference_mode(False):
            network = deepcopy(self.network).to(backbone.device)
        return Foregrounds(backbone=backbone, network=network, layers=self.shape.layers)

    def save(self, path: Path) -> None:
        """Write a safetensors file, weights in float16, whole or not at all."""
        weights = self.network.state_dict().items()
        arrays = {
            name: tensor.cpu().half().numpy()
            for name, tensor in weights
            if tensor.is_floating_point()
        }
        arrays["image_hashes"] = hashes_to_array(self.image_hashes)
        arrays["ilsvrc"] = np.array(sorted(self.ilsvrc), dtype=np.uint32)
        about = {"shape": json.dumps(asdict(self.shape)), "origin": json.dumps(asdict(self.origin))}
        FILE.save(path, arrays, about)

    @classmethod
    @torch.random.fork_rng([])  # the caller's random numbers stay as they are
    def load(cls, path: Path) -> "Head":
        """Read what `save` wrote.

        Raises:
            UsageError: no such file, not a foreground head, a damaged one, one of a newer gradbox
                or of a backbone that is not known here.
        """
        arrays, header = FILE.load(path)
        try:
            shape = HeadShape(**_with_tuples(header["shape"]))
            origin = Origin(**_with_tuples(header["origin"]))
            hashes = hashes_of_array(arrays.pop("image_hashes"))
            ilsvrc = frozenset(arrays.pop("ilsvrc").tolist())
            tensors = {name: torch.from_numpy(array).float() for name, array in arrays.items()}
            with torch.inference_mode(False):
                network = HeadNetwork(shape)
                load_weights(network, tensors, str(path))
        except UsageError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FILE.damaged(path, error) from error
        if shape.backbone not in RELEASES:
            raise UsageError(
                f"{path} is a foreground head of {shape.backbone}, which is not known here: use one"
                f" of {', '.join(RELEASES)}"
            )
        return cls(
            shape=shape,
            network=network.eval(),
            origin=origin,
            image_hashes=hashes,
            ilsvrc=ilsvrc,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Foregrounds:
    """A head and its backbone on one device."""

    backbone: Classifier
    network: HeadNetwork
    layers: tuple[str, ...]

    def of(self, pixels: UInt8[Tensor, "b 3 rows columns"]) -> Float[Tensor, "b h w"]:
        """P in [0, 1] that a cell's middle lies in an object: one forward pass, no gradient.

        `pixels` are RGB, not yet normalized, of any size. P has a cell for each 8 or 16 pixels, as
        the finest layer has.
        """
        with torch.no_grad():
            return self.network(activations(self.backbone, pixels, self.layers)).sigmoid().cpu()

    def before_last(self, pixels: UInt8[Tensor, "b 3 rows columns"]) -> Float[Tensor, "b c h w"]:
        """What the head's last layer reads in place of P."""
        with torch.no_grad():
            read = activations(self.backbone, pixels, self.layers)
            return self.network.before_last(read).cpu()


@cache
def shipped() -> Head:
    """The head that comes with gradbox, for EfficientNet-Lite0."""
    data = resources.files("gradbox.foreground") / "data/efficientnet_lite0.safetensors"
    return Head.load(Path(str(data)))


def _with_tuples(text: str) -> dict[str, Any]:
    """The fields of a dataclass from JSON, which has lists where these have tuples."""
    values = json.loads(text)
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
