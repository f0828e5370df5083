"""Black and white of all images of a data set, where a range says that it is of these."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from gradbox.errors import ImageError, UsageError
from gradbox.images.decode import numbers
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.ranges import Numbers, measure, range_text, to_range
from gradbox.localization import Sample

_ALL = 2**22
"""Numbers of all images together, about; of each image evenly some."""
_LEAST = 256
_WORKERS = 2


def surveyed(preprocessing: Preprocessing, samples: Sequence[Sample]) -> Preprocessing:
    """The same, its range measured over these images where it is one of a data set.

    Each image counts alike: of each one evenly some numbers are taken, four million of all
    together. Images that cannot be used are left out.

    Raises:
        UsageError: no image can be used.
    """
    if not preprocessing.reading.is_of_dataset:
        return preprocessing
    said = to_range(preprocessing.reading.range or "")
    most = max(_LEAST, _ALL // max(1, len(samples)))

    def seen(sample: Sample) -> list[Numbers] | ImageError:
        try:
            return numbers(
                sample.source,
                channels=preprocessing.channels,
                reading=preprocessing.reading,
                most=most,
            )
        except ImageError as error:
            return error

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="gradbox-survey") as pool:
        found = list(pool.map(seen, samples))
    usable = [one for one in found if not isinstance(one, ImageError)]
    try:
        channels = [np.concatenate(of_channel) for of_channel in zip(*usable, strict=True)]
        known = measure(said, channels)
    except ValueError:
        why = next((f": {one}" for one in found if isinstance(one, ImageError)), "")
        raise UsageError(
            f"--range {range_text(said)} cannot be measured, as none of {len(samples)} "
            f"images can be used{why}"
        ) from None
    return replace(preprocessing, reading=replace(preprocessing.reading, range=known))
