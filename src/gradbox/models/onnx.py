"""Networks in ONNX files, run by onnxruntime, as black boxes. The extra `onnx` brings it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gradbox.errors import UsageError
from gradbox.files import hash_bytes, hash_file
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.black_box import BlackBox, Scores
from gradbox.models.devices import find_device
from gradbox.models.heads import HeadKind
from gradbox.models.trying import cannot_run

_DTYPES: Mapping[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
}
_CUDA = "CUDAExecutionProvider"
_SUM = 0.01
"""How far a row of probabilities may be from adding up to 1, in half precision."""


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxNetwork:
    """An ONNX network as a function from images to scores; calls may run in several threads.

    `batch`, `height` and `width` are None where the file leaves them open. `channels_last` says
    that it takes (b, h, w, c).
    """

    session: Any
    input_name: str
    dtype: type[np.floating[Any]]
    channels_last: bool
    batch: int | None
    height: int | None
    width: int | None

    def __call__(self, images: Float[np.ndarray, "b c h w"]) -> np.ndarray:
        """Scores (b, n_classes) as the network gives them."""
        values = images.astype(self.dtype)
        if self.channels_last:
            values = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        return np.concatenate([self._run(part) for part in self._parts(values)])

    def _parts(self, values: np.ndarray) -> Iterator[np.ndarray]:
        """The images by as many as the network takes at once, the last part as it is."""
        size = self.batch or len(values)
        return (values[start : start + size] for start in range(0, len(values), size))

    def _run(self, part: np.ndarray) -> np.ndarray:
        missing = 0 if self.batch is None else self.batch - len(part)
        filled = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) if missing else part
        (scores,) = self.session.run(None, {self.input_name: filled})
        return scores[: len(part)]


def load_onnx(
    path: Path,
    outputs: Scores | None,
    preprocessing: Preprocessing | None,
    device: str,
    head: HeadKind = "softmax",
) -> tuple[BlackBox, Preprocessing]:
    """The network of a file as a black box, tried on a blank image, and its preprocessing.

    Without `outputs` its scores are taken for probabilities where those of the blank image are 0
    or more and add up to 1, else for logits; of a `head` that is no softmax it has to be said.
    Without `preprocessing` it is the usual one, at the
    size that the file says.

    Raises:
        UsageError: onnxruntime is not installed or has no such device, the file cannot be read, or
            the network takes or gives something else than images and one array of scores.
    """
    if outputs is None and head == "sigmoid":
        raise UsageError(
            f'{path}: head = "sigmoid" needs outputs = "logits", before the sigmoid, or outputs = '
            '"probabilities", after it'
        )
    seen = preprocessing or Preprocessing()
    network = _opened(path, device, seen.channels)
    fixed = (network.height or seen.size[0], network.width or seen.size[1])
    if preprocessing is None:
        seen = replace(seen, size=fixed)
    if seen.size != fixed:
        raise UsageError(
            f"{path} takes images of {fixed[0]} x {fixed[1]}, not {seen.size[0]} x "
            f"{seen.size[1]}: write size = [{fixed[0]}, {fixed[1]}] below [input] of its model card"
        )
    try:
        scores = network(seen.blank().numpy().astype(np.float32))
    except Exception as error:  # of any type: onnxruntime has one for each kind of fault
        raise cannot_run(str(path), seen, error) from error
    proper = bool((scores >= 0).all()) and abs(float(scores.sum()) - 1) < _SUM
    found: Scores = outputs or ("probabilities" if proper else "logits")
    return BlackBox(network, found, head, name=str(path), digest=hash_network(path)), seen


def _opened(path: Path, device: str, channels: int) -> OnnxNetwork:
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(f"{path} needs onnxruntime: pip install 'gradbox[onnx]'") from error
    if not path.is_file():
        raise UsageError(f"{path}: no such ONNX file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors, which are raised anyway
    options.intra_op_num_threads = torch.get_num_threads()
    providers = _providers(device, onnxruntime.get_available_providers())
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # of any type: onnxruntime has one for each kind of fault
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UsageError(f"{path}: cannot be read as an ONNX network: {reason}") from error
    return _as_network(session, path, channels)


def hash_network(path: Path) -> str:
    """SHA-256 of the file; where its weights lie in files beside it, of the hashes of them all."""
    content = path.read_bytes()
    beside = [path.parent / name for name in sorted(set(_external_files(content)))]
    if not beside:
        return hash_bytes(content)
    return hash_bytes("".join([hash_bytes(content), *map(hash_file, beside)]).encode())


def _external_files(content: bytes) -> Iterator[str]:
    """The files that hold tensors of an ONNX file: the values of its entries with this key."""
    for found in re.finditer(rb"\n\x08location\x12", content):
        at = found.end()
        length = content[at] & 0x7F
        if content[at] & 0x80:  # a protobuf number of two bytes
            at += 1
            length |= content[at] << 7
        yield content[at + 1 : at + 1 + length].decode()


def _as_network(session: Any, path: Path, channels: int) -> OnnxNetwork:
    """The session with what its input says.

    Raises:
        UsageError: it does not take images alone, or does not give one array of scores alone.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        raise UsageError(
            f"{path} has {len(inputs)} inputs ({_names(inputs)}) and gradbox has images alone: "
            "export the network with one input"
        )
    if len(outputs) != 1:
        raise UsageError(
            f"{path} has {len(outputs)} outputs ({_names(outputs)}) and gradbox needs scores "
            "alone: export the network with one output"
        )
    (images,), (scores,) = inputs, outputs
    if images.type not in _DTYPES:
        raise UsageError(
            f"{path} takes {images.type}, and normalized images are floating point: export the "
            "network without its own preprocessing"
        )
    shape = [length if isinstance(length, int) else None for length in images.shape]
    axes = [axis for axis in (1, 3) if len(shape) == 4 and shape[axis] == channels]
    if not axes:
        written = " x ".join(map(str, images.shape))
        raise UsageError(
            f"{path} takes {written}, in which {channels} channels stand neither second nor last: "
            f"export it with an input of batch x {channels} x height x width, the {channels} fixed,"
            " or say mean and std with a number for each channel in its model card"
        )
    if scores.type not in _DTYPES or len(scores.shape) != 2:
        given = " x ".join(map(str, scores.shape))
        raise UsageError(
            f"{path} gives {scores.type} of {given or 'no shape'}: a classifier gives images x "
            "classes in floating point; export it with that output"
        )
    last = axes[0] == 3
    height, width = shape[1:3] if last else shape[2:]
    return OnnxNetwork(
        session=session,
        input_name=images.name,
        dtype=_DTYPES[images.type],
        channels_last=last,
        batch=shape[0],
        height=height,
        width=width,
    )


def _names(ends: Sequence[Any]) -> str:
    return ", ".join(end.name for end in ends)


def _providers(device: str, available: Sequence[str]) -> list[str]:
    """What runs the network: CUDA where it is asked for, or the best there is, and is here.

    Raises:
        UsageError: an unknown device, or CUDA by name and onnxruntime has none.
    """
    place, cpu = find_device(device), "CPUExecutionProvider"
    if place.type != "cuda" or (device == "auto" and _CUDA not in available):
        return [cpu]
    if _CUDA not in available:
        raise UsageError(
            f"the onnxruntime here cannot run on {device!r}: pip install onnxruntime-gpu, or use "
            "cpu"
        )
    return [_CUDA, cpu]
