"""Where and in what numbers is computed."""

from collections.abc import Mapping

import torch

from gradbox.errors import UsageError, nearest

AUTO = "auto"
DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


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
    """Where and in what numbers is computed; `auto` is float32 on every device.

    Raises:
        UsageError: an unknown device or dtype, or one that does not go with the other.
    """
    place = find_device(device)
    if dtype == AUTO:
        dtype = "float32"
    if dtype not in DTYPES:
        known = ", ".join([AUTO, *DTYPES])
        raise UsageError(f"unknown dtype {dtype!r}{nearest(dtype, DTYPES)}: use {known}")
    if dtype == "float16" and place.type == "cpu":
        raise UsageError("--dtype float16 is slow and coarse on a cpu: use float32 or bfloat16")
    return place, DTYPES[dtype]
