"""Label Studio's run lengths: how it writes the masks of its brush.

A stream of bits, the most significant first, as bytes: 32 bits the number of values, 5 bits the
width of a value less 1, four times 4 bits the widths of a length less 1; then pieces, each 1 bit
whether one value is repeated, 2 bits which width the length has, the length less 1, and the value,
or all values. The values are those of an RGBA image, row by row; alpha says where the brush was.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

_VALUE_BITS = 8
_LENGTH_BITS = (3, 4, 8, 16)
_CHANNELS = 4
_ON = 255


def to_brush(mask: Bool[np.ndarray, "h w"]) -> list[int]:
    """The bytes of a mask."""
    bits = [f"{mask.size * _CHANNELS:032b}{_VALUE_BITS - 1:05b}"]
    bits += [f"{width - 1:04b}" for width in _LENGTH_BITS]
    longest = 2 ** _LENGTH_BITS[-1]
    edges = np.flatnonzero(np.diff(mask.ravel())) + 1
    starts = np.concatenate([[0], edges, [mask.size]]) * _CHANNELS
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        value = _ON * int(mask.flat[start // _CHANNELS])
        for first in range(start, end, longest):
            bits.append(_piece(min(longest, end - first), value))
    joined = "".join(bits)
    padded = joined + "0" * (-len(joined) % 8)
    return list(int(padded, 2).to_bytes(len(padded) // 8, "big"))


def from_brush(values: Sequence[int], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """The mask of these bytes.

    Raises:
        ValueError: they are no run lengths of an image of this size.
    """
    bits = _Bits(bytes(values))
    count = bits.take(32)
    if count != height * width * _CHANNELS:
        raise ValueError(f"{count} values are no RGBA image of {height} x {width} pixels")
    value_bits = bits.take(5) + 1
    length_bits = [bits.take(4) + 1 for _ in _LENGTH_BITS]
    found = np.zeros(count, dtype=bool)
    at = 0
    while at < count:
        repeated = bits.take(1)
        end = min(count, at + bits.take(length_bits[bits.take(2)]) + 1)
        if repeated:
            found[at:end] = bits.take(value_bits) > 0
        else:
            found[at:end] = [bits.take(value_bits) > 0 for _ in range(end - at)]
        at = end
    return found.reshape(height, width, _CHANNELS)[..., -1]


def _piece(length: int, value: int) -> str:
    which = next(i for i, bits in enumerate(_LENGTH_BITS) if length <= 2**bits)
    return f"1{which:02b}{length - 1:0{_LENGTH_BITS[which]}b}{value:0{_VALUE_BITS}b}"


class _Bits:
    """Numbers from a stream of bits."""

    def __init__(self, content: bytes) -> None:
        self._bits = "".join(f"{byte:08b}" for byte in content)
        self._at = 0

    def take(self, count: int) -> int:
        taken = self._bits[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("the run lengths end too early")
        self._at += count
        return int(taken, 2)
