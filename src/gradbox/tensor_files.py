"""Arrays with a header in a safetensors file, which runs no code: what gradbox has learned."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from gradbox.errors import UsageError
from gradbox.files import whole_file

_VERSION = "1"


@dataclass(frozen=True, kw_only=True)
class TensorFile:
    """A kind of file: the `format` in its header, what it is called, what command makes it."""

    format: str
    what: str
    command: str

    def save(self, path: Path, arrays: Mapping[str, np.ndarray], header: Mapping[str, str]) -> None:
        """Write the file, whole or not at all."""
        with whole_file(path) as partial:  # safetensors' own `save_file` lets nobody else read
            partial.write_bytes(self.encode(arrays, header))

    def encode(self, arrays: Mapping[str, np.ndarray], header: Mapping[str, str]) -> bytes:
        """The content of the file; equal arrays and headers give equal bytes."""
        about = {"format": self.format, "format_version": _VERSION, **header}
        tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        return _sorted(save(tensors, metadata=about))

    def load(
        self, path: Path, *, mapped: Sequence[str] = ()
    ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The arrays and the header of a file that `save` wrote.

        `mapped` ones, of float32, stay on disk until they are read.

        Raises:
            UsageError: no such file, another kind of file, or one of a newer gradbox.
        """
        if not os.path.isfile(path):  # a path of 5,000 characters is no file either
            raise UsageError(
                f"there is no file {path}: make one with `{self.command} --out {path}`"
            )
        try:
            with safe_open(path, framework="numpy") as stream:
                header = stream.metadata() or {}
                names = [name for name in stream.keys() if name not in mapped]  # noqa: SIM118
                arrays = {name: stream.get_tensor(name) for name in names}
        except SafetensorError as error:
            raise UsageError(f"{path} is not a whole safetensors file: {error}") from error
        if header.get("format") != self.format:
            raise UsageError(f"{path} is not a {self.what}: `{self.command}` writes such files")
        if header.get("format_version") != _VERSION:
            raise UsageError(
                f"{path} has the format {header.get('format_version')}, this gradbox reads "
                f"{_VERSION}: install a newer gradbox"
            )
        return {**arrays, **{name: _mapped(path, name) for name in mapped}}, header

    def damaged(self, path: Path, error: Exception) -> UsageError:
        """The complaint about a file whose arrays or header do not fit together."""
        return UsageError(f"{path} is a damaged {self.what} ({error}): make it again")


def _sorted(content: bytes) -> bytes:
    """The same file with its header in order: safetensors writes it in another one each time."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(
        json.loads(content[8:start]), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    ).encode()
    return content[:8] + header.ljust(start - 8) + content[start:]


def _mapped(path: Path, name: str) -> Float32[np.ndarray, "..."]:
    """An array of a safetensors file where it lies: behind 8 bytes of length, and the header."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        about = json.loads(stream.read(length))[name]
    first, last = (8 + length + offset for offset in about["data_offsets"])
    content = np.memmap(path, np.uint8, mode="r")[first:last]
    return np.asarray(content).view(np.float32).reshape(about["shape"])
