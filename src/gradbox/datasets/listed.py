"""`list:FILE`: images that a text, CSV or parquet file lists, with their classes, without boxes."""

import os
from pathlib import Path

from gradbox.datasets.dataset import Dataset, gather
from gradbox.images.listing import list_images
from gradbox.images.lists import PREFIX


def load(rest: str) -> Dataset:
    """All images of a list; see `images.lists`.

    Raises:
        UsageError: there is no such list, it cannot be read, or an image stands in it twice.
    """
    text = f"{PREFIX}{os.path.expanduser(rest)}"
    samples = list(list_images([text]))
    missing = (one for one in samples if isinstance(one.source, Path) and not one.source.exists())
    present = {one.image_id for one in samples} - {one.image_id for one in missing}
    return gather(text, Path(text.removeprefix(PREFIX)).parent, samples, present=present)
