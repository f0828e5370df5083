"""Data sets on disk, or made on the fly, as `Sample`s.

The text of a data set is `KIND:REST`, split at the first `:`; most kinds split REST at the last
`@`.
"""

import os
from collections.abc import Callable

from gradbox.datasets import (
    coco,
    csv,
    cub,
    cvat,
    folder,
    imagenet,
    labelstudio,
    listed,
    parquet,
    scenes,
    voc,
    yolo,
)
from gradbox.datasets.dataset import Dataset
from gradbox.datasets.layout import FORMS
from gradbox.datasets.subsets import limit, parse_split, split
from gradbox.errors import UsageError, nearest
from gradbox.registry import Registry

__all__ = ["LOADERS", "Dataset", "limit", "load_dataset", "parse_split", "split"]

Loader = Callable[[str], Dataset]
"""From what stands behind the kind and its colon to the data set."""

LOADERS: Registry[Loader] = Registry(
    "gradbox.datasets",
    {
        "coco": coco.load,
        "csv": csv.load,
        "cub": cub.load,
        "cvat": cvat.load,
        "folder": folder.load,
        "imagenet": imagenet.load,
        "labelstudio": labelstudio.load,
        "list": listed.load,
        "parquet": parquet.load,
        "scenes": scenes.load,
        "voc": voc.load,
        "yolo": yolo.load,
    },
)


def load_dataset(text: str) -> Dataset:
    """The data set that a text names.

    Raises:
        UsageError: an unknown kind, or what its loader says about the rest.
    """
    kind, colon, rest = text.partition(":")
    if kind.endswith(".py"):
        name, _, rest = rest.partition(":")
        kind = f"{kind}:{name}"
    if colon and kind in LOADERS:
        return LOADERS[kind](rest)
    if os.path.isdir(text):
        raise UsageError(f"{text!r} does not say its kind: write folder:{text} or csv:{text}")
    raise UsageError(
        f"{text!r} is no data set{nearest(kind, LOADERS)}: write one of "
        f"{', '.join(FORMS.get(name, f'{name}:REST') for name in LOADERS)}"
    )
