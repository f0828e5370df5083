"""Any image classifier in one shape: a private copy of the module, its input, its class names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from gradbox.errors import UsageError, expect, nearest
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import ClassFrom, Selection
from gradbox.models.black_box import BlackBox, Scorer, Scores, refuse_black_box
from gradbox.models.devices import device_and_dtype
from gradbox.models.doubts import Doubts
from gradbox.models.heads import SOFTMAX, Head, HeadKind, as_head
from gradbox.models.outputs import as_logits
from gradbox.models.runner import Computing, MemoryFormat, Runner
from gradbox.models.weights import hash_weights


@dataclass(frozen=True, eq=False, kw_only=True)
class Classifier:
    """An image classifier that gradbox may look into; make one with `Classifier.wrap`.

    `module` maps (b, c, h, w) to (b, n_classes) logits. It is a private copy in evaluation mode
    whose parameters require no gradient, so whatever is done to it, the caller's module stays as
    it is; `runner` has what is run in its place. `layer` overrides the last convolutional layer
    that is found by itself. `head` says what the outputs are; `head_is_said` that somebody did, and
    that it is not softmax as usual. `loading` has the arguments of the `load_classifier` that made
    it, None where somebody wrapped a module.
    """

    module: nn.Module
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    wnids: tuple[str, ...] = ()
    name: str = "module"
    layer: str | None = None
    head: Head = SOFTMAX
    head_is_said: bool = True
    device: torch.device
    dtype: torch.dtype
    runner: Runner
    loading: Mapping[str, Any] | None = None

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
        head: Head | HeadKind | None = None,
        device: str = "auto",
        dtype: str = "auto",
        memory_format: MemoryFormat = "contiguous",
        faster: bool = True,
        compiled: bool = False,
    ) -> "Classifier":
        """Take a module as a classifier; it keeps its parameters, flags, hooks and device.

        On the same device, with the same dtype and layout, the weights are shared, not copied. Your
        hooks do not run on the copy, and what `torch.compile` made of a module is left out. `head`
        is softmax where nobody says; `faster` and `compiled` as of `load_classifier`.

        Raises:
            UsageError: no module or one that cannot be copied, an unknown device or dtype, or one
                that does not go with the other, a layer that the module does not have, or no head.
        """
        known = as_head(head)
        expect(module, nn.Module, "a model by name is load_classifier('torchvision/resnet50')")
        place, kind = device_and_dtype(device, dtype)
        seen = preprocessing or Preprocessing()
        computing = Computing(place, kind, memory_format, faster, compiled)
        runner = Runner(module, seen, computing, name)
        return cls(
            module=runner.loaded,
            preprocessing=seen,
            class_names=known.names(class_names),
            wnids=known.names(wnids),
            name=name,
            layer=layer,
            head=known,
            head_is_said=head is not None,
            device=place,
            dtype=kind,
            runner=runner,
        )

    @classmethod
    def from_function(
        cls,
        function: Scorer,
        *,
        outputs: Scores = "logits",
        preprocessing: Preprocessing | None = None,
        class_names: Sequence[str] = (),
        wnids: Sequence[str] = (),
        head: Head | HeadKind | None = None,
        name: str | None = None,
    ) -> "Classifier":
        """Take a function from images to scores as a classifier that can only be called.

        It gets normalized images, a numpy array (b, c, h, w) of float32, and returns a numpy array
        (b, n_classes) of floating point: logits, or with `outputs="probabilities"` what the softmax
        made of them, or for `head="sigmoid"` the sigmoid. The methods `occlusion` and `rise` ask
        for no more. A run is never gone on with, as nobody can tell whether a function is the same;
        `load_classifier` takes one in a file, by a model card, and knows it by the file's hash.

        Raises:
            UsageError: no function, or other `outputs`.
        """
        box = BlackBox(function, outputs, as_head(head).kind, name=name)
        return cls.wrap(
            box,
            preprocessing=preprocessing,
            class_names=class_names,
            wnids=wnids,
            head=head,
            name=box.name,
            device="cpu",
        )

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the weights as float32; of a black box, of its file, or a function's name."""
        box = self.module
        return box.fingerprint if isinstance(box, BlackBox) else hash_weights(box)

    @property
    def is_comparable(self) -> bool:
        """Whether an equal `weights_hash` means an equal classifier: only then a run is resumed."""
        return not isinstance(self.module, BlackBox) or self.module.digest is not None

    @cached_property
    def _memory_format(self) -> torch.memory_format:
        kernels = [p for p in self.module.parameters() if p.dim() == 4 and min(p.shape[1:3]) > 1]
        last = any(not p.is_contiguous() for p in kernels)
        return torch.channels_last if last else torch.contiguous_format

    def normalize(self, pixels: Shaped[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Input values of the network from pixels in 0..255, on its device and in its dtype."""
        on_device = pixels.to(self.device, non_blocking=True)
        values = self.preprocessing.normalize(on_device, self.dtype)
        return values.contiguous(memory_format=self._memory_format)

    @cached_property
    def doubts(self) -> Doubts:
        """What was seen that speaks against its head."""
        return Doubts(self.name, self.head, self.head_is_said)

    @property
    def has_classes(self) -> bool:
        """Whether its outputs are classes at all."""
        return self.head.kind != "none"

    @cached_property
    def is_binary(self) -> bool:
        """Whether its only output says yes or no; it is tried once."""
        if self.head.kind != "sigmoid":
            return False
        with torch.no_grad():
            output = self.module(self.normalize(self.preprocessing.blank()))
        return as_logits(output).shape[1] == 1

    def threshold(self, label: int, above: float | None = None) -> float:
        """The probability from which on a class is there; `above`, if given, is that of every one.

        That there is none, of a yes or no, is never there by itself.
        """
        return self.head.threshold(label, above, is_binary=self.is_binary)

    def usual_selection(self, class_from: ClassFrom) -> Selection:
        """Which classes are located where nobody says.

        The recognized one; where each is for itself, all that are there; none where there is none.
        """
        if class_from == "none" or not self.has_classes:
            return Selection(top=0)
        return Selection(above="thresholds") if self.head.kind == "sigmoid" else Selection()

    def takes(self, side: int) -> bool:
        """Whether the network runs on an input whose shorter side is this; it is tried once."""
        if side not in self._sizes:
            try:
                with torch.no_grad():
                    self.module(self.normalize(self.preprocessing.at(side).blank()))
                self._sizes[side] = True
            except Exception:  # whatever a network says to an input that it cannot take
                self._sizes[side] = False
        return self._sizes[side]

    @cached_property
    def _sizes(self) -> dict[int, bool]:
        return {}

    def submodule(self, name: str) -> nn.Module:
        """The part of the network that has this name.

        Raises:
            UsageError: none has it; the nearest names are offered.
        """
        refuse_black_box(self.module, self.name)
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

        Of a name that is a path, such as animal/dog, its last part is enough where no other has it.

        Raises:
            UsageError: no class or more than one has this name; the nearest names are offered.
        """
        if not self.has_classes:
            raise UsageError(
                f"the outputs of {self.name} are no classes (head = none): leave the class out"
            )
        if text in self.wnids:
            return self.wnids.index(text)
        by_name = self._indices_by_name.get(text.lower()) or self._leaves.get(text.lower(), ())
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

    def class_indices(self, text: str) -> tuple[int, ...]:
        """The class of this text, or where names are paths all classes below it.

        Raises:
            UsageError: as `class_index`.
        """
        above = text.lower().rstrip("/") + "/"
        below = [i for i, name in enumerate(self.class_names) if name.lower().startswith(above)]
        is_class = text in self.wnids or text.lower() in self._indices_by_name
        return tuple(below) if below and not is_class else (self.class_index(text),)

    @cached_property
    def _indices_by_name(self) -> Mapping[str, tuple[int, ...]]:
        return _indices(self.class_names)

    @cached_property
    def _leaves(self) -> Mapping[str, tuple[int, ...]]:
        return _indices([name.rpartition("/")[2] for name in self.class_names])


def _indices(names: Sequence[str]) -> Mapping[str, tuple[int, ...]]:
    """Where each name stands, in lower case."""
    indices: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(names):
        indices[name.lower()] = (*indices.get(name.lower(), ()), index)
    return indices


def check_classifier(value: object) -> None:
    """Refuse what is no classifier.

    Raises:
        UsageError: it is something else, such as the name of a model or a bare module.
    """
    made = "load_classifier('torchvision/resnet50') or, of a module, Classifier.wrap(module)"
    expect(value, Classifier, f"make one with {made}")
