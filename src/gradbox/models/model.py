"""What a source of classifiers gives: a module, and what is known of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from gradbox.images.preprocessing import Preprocessing
from gradbox.models.heads import Head


@dataclass(frozen=True, kw_only=True)
class Model:
    """A module with weights and what is known of its input and classes."""

    module: nn.Module
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    class_names: Sequence[str] = ()
    wnids: Sequence[str] = ()
    layer: str | None = None
    head: Head | None = None
