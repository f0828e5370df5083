"""A classifier by its text or by a model card, which runs the code that it names."""

from dataclasses import replace
from importlib import resources
from pathlib import Path

from gradbox.errors import UsageError
from gradbox.functions import is_function
from gradbox.images.ranges import Range
from gradbox.images.reading import Reading, Stack
from gradbox.models import huggingface
from gradbox.models.black_box import function_of_file
from gradbox.models.card import Card, read_card
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.models.model import Model
from gradbox.models.onnx import load_onnx
from gradbox.models.runner import MemoryFormat
from gradbox.models.sources import build
from gradbox.models.trying import try_out

SCENES = "gradbox/scenes"
"""The small classifier of generated scenes that ships with gradbox, trained on image labels."""
_SCENES_CARD = "data/scenes_small/model.toml"


def load_classifier(
    spec: str = DEFAULT_MODEL,
    *,
    weights: str | None = None,
    layer: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    memory_format: MemoryFormat | None = None,
    faster: bool = True,
    compiled: bool = False,
    channels: tuple[int, ...] | None = None,
    range: Range | str | None = None,  # noqa: A002  # as on the command line and in a card
    stack: Stack | None = None,
) -> Classifier:
    """The classifier that a text names.

    Args:
        spec: `efficientnet_lite0`, `..1` or `..2`, `torchvision/NAME`, `timm/NAME`, `hf/NAME` of a
            model of transformers or the path of its folder, `path/file.py:function` (which returns
            a module), `path/net.onnx`, the path of a model card, `path/card.toml`, or
            `gradbox/scenes`, for generated scenes.
        weights: a file in place of the usual weights, or `untrained`.
        layer: the layer to look into in place of the one that is found or that the card names.
        device: cpu, cuda, cuda:N, mps or auto.
        dtype: float32, float64, bfloat16, float16, or auto, which is float32.
        memory_format: by default channels_last, the faster layout for most convolutional networks,
            and contiguous in float64, which is for maps that are the same in any batch.
        faster: run what computes the same in less time, to rounding: above all, batch norms are
            taken into the convolutions before them, where no layer between is looked into.
        compiled: run what is not looked into by `torch.compile`, which needs a C++ compiler and
            takes about a minute.
        channels: which channels of a file become the network's, from 0, as in (2, 1, 0).
        range: which numbers of a file are black and white, as in "percentile(1, 99.8)".
        stack: what is taken of a file of several planes, see `Reading`. These three go before what
            a card says.

    Raises:
        UsageError: an unknown name, a broken card, weights that do not fit, or a card whose
            network cannot take its input or has another number of outputs than names.
    """
    loading = dict(locals())
    path = str(resources.files("gradbox.models") / _SCENES_CARD) if spec == SCENES else spec
    is_card = path.endswith(".toml")
    card = read_card(Path(path)) if is_card else Card(name=spec, architecture=spec)
    if card.is_black_box and dtype not in ("auto", "float32"):
        raise UsageError(f"dtype={dtype}: {card.architecture} is a black box, which takes float32")
    model = _of_card(card, weights, device)
    seen = model.preprocessing
    reading = Reading(channels=channels, range=range, stack=stack).over(seen.reading)
    wrapped = Classifier.wrap(
        model.module,
        preprocessing=replace(seen, reading=reading),
        class_names=model.class_names,
        wnids=model.wnids,
        name=spec,
        layer=layer or model.layer,
        head=model.head,
        device=device,
        dtype=dtype,
        memory_format=memory_format or ("contiguous" if dtype == "float64" else "channels_last"),
        faster=faster,
        compiled=compiled,
    )
    classifier = replace(wrapped, loading=loading)
    is_hub = huggingface.name_in(card.architecture, card.root) is not None
    if is_card or card.is_black_box or is_hub:  # the others know their own input and names
        try_out(classifier)
    return classifier


def _of_card(card: Card, weights: str | None, device: str) -> Model:
    """The model of a card, or of a text that stands for one."""
    weights = weights or card.weights
    if card.is_black_box:
        model = _black_box(card, weights, device)
    else:
        try:
            model = build(card.architecture, card.arguments, weights, card.root, card.preprocessing)
        except UsageError:
            raise
        except (TypeError, ValueError) as error:
            raise UsageError(f"{card.name}: {error}") from error
    return replace(
        model,
        preprocessing=card.preprocessing or model.preprocessing,
        class_names=card.class_names or model.class_names,
        wnids=card.wnids or model.wnids,
        layer=card.layer,
        head=card.head or model.head,
    )


def _black_box(card: Card, weights: str | None, device: str) -> Model:
    """A network in an ONNX file, or a function from images to scores."""
    spec = card.architecture
    for given, what in ((weights, "weights"), (card.arguments, "arguments")):
        if given:
            raise UsageError(f"{spec} is a black box, which takes no {what}: leave them out")
    if spec.endswith(".onnx"):
        path = card.root / spec
        module, seen = load_onnx(path, card.outputs, card.preprocessing, device, card.head_kind)
        return Model(module=module, preprocessing=seen)
    if card.outputs is None or not is_function(spec):
        raise UsageError(
            f"outputs = {card.outputs!r} marks a black box and {spec!r} is none: leave it out, or "
            'give architecture = "net.onnx", or "file.py:function", from images to scores'
        )
    return Model(module=function_of_file(spec, card.root, card.outputs, card.head_kind))
