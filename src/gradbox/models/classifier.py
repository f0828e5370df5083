"""Any image classifier in one shape: a private copy of the module, its input, its class names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import resources
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from gradbox.errors import UsageError, expect, nearest
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.copying import private_copy
from gradbox.models.weights import hash_weights

DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
MemoryFormat = Literal["contiguous", "channels_last"]
_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """An image classifier that gradbox may look into; make one with `Classifier.wrap`.

    `module` maps (b, 3, h, w) to (b, n_classes) logits. It is a private copy in evaluation mode
    whose parameters require no gradient, so whatever is done to it, the caller's module stays as
    it is. `layer` overrides the last convolutional layer that is found by itself.
    """

    module: nn.Module
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    wnids: tuple[str, ...] = ()
    name: str = "module"
    layer: str | None = None
    device: torch.device
    dtype: torch.dtype

    def __post_init__(self) -> None:
        if self.layer is not None:
            self.submodule(self.layer)

    def __repr__(self) -> str:
        height, width = self.preprocessing.size
        return (
            f"<Classifier {self.name}: {len(self.class_names)} class names, input {height} x "
            f"{width}, {self.dtype} on {self.device}>"
        )

    @classmethod
    def wrap(
        cls,
        module: nn.Module,
        *,
        preprocessing: Preprocessing | None = None,
        class_names: Sequence[str] = (),
        wnids: Sequence[str] = (),
        name: str = "module",
        layer: str | None = None,
        device: str = "auto",
        dtype: str = "float32",
        memory_format: MemoryFormat = "contiguous",
    ) -> "Classifier":
        """Take a module as a classifier; it keeps its parameters, flags, hooks and device.

        On the same device, with the same dtype and layout, the weights are shared, not copied. Your
        hooks do not run on the copy, and what `torch.compile` made of a module is left out.

        Raises:
            UsageError: no module or one that cannot be copied, an unknown device or dtype, or one
                that does not go with the other, or a layer that the module does not have.
        """
        expect(module, nn.Module, "a model by name is load_classifier('torchvision/resnet50')")
        place, kind = device_and_dtype(device, dtype)
        with torch.inference_mode(False):  # what is made in that mode cannot be differentiated
            own = private_copy(module).to(place, kind)
            if memory_format == "channels_last":
                own = own.to(memory_format=torch.channels_last)
        return cls(
            module=own,
            preprocessing=preprocessing or Preprocessing(),
            class_names=tuple(class_names),
            wnids=tuple(wnids),
            name=name,
            layer=layer,
            device=place,
            dtype=kind,
        )

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weights as float32."""
        return hash_weights(self.module)

    @cached_property
    def _memory_format(self) -> torch.memory_format:
        kernels = [p for p in self.module.parameters() if p.dim() == 4 and min(p.shape[1:3]) > 1]
        last = any(not p.is_contiguous() for p in kernels)
        return _FORMATS["channels_last" if last else "contiguous"]

    def normalize(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Input values of the network from uint8 RGB, on its device, in its dtype and layout."""
        on_device = pixels.to(self.device, non_blocking=True)
        values = self.preprocessing.normalize(on_device, self.dtype)
        return values.contiguous(memory_format=self._memory_format)

    def submodule(self, name: str) -> nn.Module:
        """The part of the network that has this name.

        Raises:
            UsageError: none has it; the nearest names are offered.
        """
        modules = {known: module for known, module in self.module.named_modules() if known}
        if name not in modules:
            top = ", ".join(child for child, _ in self.module.named_children())
            raise UsageError(
                f"{self.name} has no layer {name!r}{nearest(name, modules)}; the names start with "
                f"{top}"
            )
        return modules[name]

    def with_layer(self, layer: str | None) -> "Classifier":
        """The same classifier with another layer to look into; None changes nothing."""
        return replace(self, layer=layer) if layer else self

    def class_name(self, index: int | None) -> str:
        """The name of a class, its index as text where there are no names, "object" for None."""
        if index is None:
            return "object"
        return self.class_names[index] if index < len(self.class_names) else str(index)

    def class_index(self, text: str) -> int:
        """The index of the class with this wnid, name (in any case) or index, in this order.

        Raises:
            UsageError: no class or more than one has this name; the nearest names are offered.
        """
        if text in self.wnids:
            return self.wnids.index(text)
        by_name = self._indices_by_name.get(text.lower(), ())
        if len(by_name) == 1:
            return by_name[0]
        if len(by_name) > 1:
            choices = " or ".join(map(str, by_name))
            raise UsageError(f"the class name {text!r} stands for several classes: give {choices}")
        count = len(self.class_names)
        if text.isdecimal() and (int(text) < count or count == 0):
            return int(text)
        raise UsageError(
            f"{self.name} has no class {text!r}{nearest(text, self.class_names)}; "
            f"give a name, {'a wnid, ' if self.wnids else ''}or an index below {count}"
        )

    @cached_property
    def _indices_by_name(self) -> Mapping[str, tuple[int, ...]]:
        indices: dict[str, tuple[int, ...]] = {}
        for index, name in enumerate(self.class_names):
            indices[name.lower()] = (*indices.get(name.lower(), ()), index)
        return indices


def imagenet1k_wnids() -> tuple[str, ...]:
    """The 1000 WordNet ids of ImageNet-1k in the usual class order."""
    return _data_lines("imagenet1k_wnids.txt")


def imagenet1k_names() -> tuple[str, ...]:
    """The 1000 class names of ImageNet-1k in the usual order, as torchvision writes them."""
    return _data_lines("imagenet1k_names.txt")


def _data_lines(name: str) -> tuple[str, ...]:
    text = resources.files("gradbox.models").joinpath("data", name).read_text("utf-8")
    return tuple(text.removesuffix("\n").split("\n"))


def find_device(text: str) -> torch.device:
    """The device of this name; `auto` is the best one there is.

    Raises:
        UsageError: an unknown device, or one that is not here.
    """
    if text == "auto":
        available = (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
        )
        return torch.device(next((name for name, there in available if there), "cpu"))
    try:
        device = torch.device(text)
    except RuntimeError as error:
        raise UsageError(f"unknown device {text!r}: use cpu, cuda, cuda:N, mps or auto") from error
    there = {"cpu": True, "cuda": torch.cuda.is_available()}
    there["mps"] = torch.backends.mps.is_available()
    if not there.get(device.type, False):
        raise UsageError(f"the device {text!r} is not available here: use cpu or auto")
    return device


def device_and_dtype(device: str, dtype: str) -> tuple[torch.device, torch.dtype]:
    """Where and in what numbers is computed.

    Raises:
        UsageError: an unknown device or dtype, or one that does not go with the other.
    """
    place = find_device(device)
    if dtype not in DTYPES:
        known = ", ".join(DTYPES)
        raise UsageError(f"unknown dtype {dtype!r}{nearest(dtype, DTYPES)}: use {known}")
    if dtype == "float16" and place.type == "cpu":
        raise UsageError("--dtype float16 is slow and coarse on a cpu: use float32 or bfloat16")
    return place, DTYPES[dtype]


def check_classifier(value: object) -> None:
    """Refuse what is no classifier.

    Raises:
        UsageError: it is something else, such as the name of a model or a bare module.
    """
    made = "load_classifier('torchvision/resnet50') or, of a module, Classifier.wrap(module)"
    expect(value, Classifier, f"make one with {made}")
