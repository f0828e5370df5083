"""The foreground part of a file of `gradbox fit`: the head with the last layer that it has."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gradbox.foreground.head import Head
from gradbox.foreground.last_layer import LastLayer
from gradbox.seen import Seen, hashes_of_array
from gradbox.tensor_files import TensorFile

FITTED = TensorFile(format="gradbox.fitted", what="fit of auto", command="gradbox fit DATASET")


def with_fitted(head: Head, path: Path) -> tuple[Head, Seen]:
    """A head with the last layer of a file, and the images that this has learned from.

    Raises:
        UsageError: no such file, another kind of file, or one whose last layer does not fit.
    """
    arrays, header = FITTED.load(path)
    try:
        layer = LastLayer.of(arrays)
        if layer is None:
            raise ValueError("it has no last layer")
        return layer.in_place(head), seen_of(arrays, header)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise FITTED.damaged(path, error) from error


def seen_of(arrays: Mapping[str, np.ndarray], header: Mapping[str, str]) -> Seen:
    """The images that a file has learned from; errors where it is damaged."""
    origin = json.loads(header["origin"])
    return Seen(
        what=f"{int(origin['n_boxes'])} boxes",
        sha256=header["sha256"],
        hashes=hashes_of_array(arrays["image_hashes"]),
        image_labels=bool(origin["image_labels"]),
    )
