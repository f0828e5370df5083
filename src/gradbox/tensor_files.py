"""Arrays with a header in a safetensors file, which runs no code: what gradbox has learned."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
        about = {"format": self.format, "format_version": _VERSION, **header}
        tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        with whole_file(path) as partial:
            partial.write_bytes(save(tensors, metadata=about))  # `save_file` lets nobody else read

    def load(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The arrays and the header of a file that `save` wrote.

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
                arrays = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise UsageError(f"{path} is not a whole safetensors file: {error}") from error
        if header.get("format") != self.format:
            raise UsageError(f"{path} is not a {self.what}: `{self.command}` writes such files")
        if header.get("format_version") != _VERSION:
            raise UsageError(
                f"{path} has the format {header.get('format_version')}, this gradbox reads "
                f"{_VERSION}: install a newer gradbox"
            )
        return arrays, header

    def damaged(self, path: Path, error: Exception) -> UsageError:
        """The complaint about a file whose arrays or header do not fit together."""
        return UsageError(f"{path} is a damaged {self.what} ({error}): make it again")
