"""The boxed images that a part has learned from, so that nothing is scored on them unnoticed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

_ILSVRC = re.compile(r"ILSVRC2012_val_(\d{8})")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a part has learned from: how tables call it, and which images it was.

    `sha256` is the hash of what was learned. `hashes` are the SHA-256 of the images' files in hex,
    `ilsvrc` the numbers of those of ImageNet's validation set, of which resized copies are about.
    `image_labels` says whether it was told their true classes, too.
    """

    what: str
    sha256: str
    hashes: frozenset[str]
    ilsvrc: frozenset[int] = frozenset()
    image_labels: bool = False

    def has(self, image_id: str, sha256: str | None) -> bool:
        """Whether it has learned from an image, by its hash, if that is known, or its name."""
        return sha256 in self.hashes or ilsvrc_number(image_id) in self.ilsvrc


def ilsvrc_number(image_id: str) -> int | None:
    """The number of an image of ImageNet's validation set, from anywhere in its name.

    >>> ilsvrc_number("small/ILSVRC2012_val_00000347.crop.png")
    347
    """
    found = _ILSVRC.search(image_id)
    return int(found[1]) if found else None


def hashes_to_array(hashes: Iterable[str]) -> UInt8[np.ndarray, "n 32"]:
    """SHA-256 in hex as rows of bytes, sorted."""
    return np.frombuffer(b"".join(map(bytes.fromhex, sorted(hashes))), np.uint8).reshape(-1, 32)


def hashes_of_array(rows: UInt8[np.ndarray, "n 32"]) -> frozenset[str]:
    """What `hashes_to_array` was made of."""
    return frozenset(bytes(row).hex() for row in rows)
