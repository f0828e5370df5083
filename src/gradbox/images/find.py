"""The images of files and folders, all at once: for small sets; `listing` has any number."""

from collections.abc import Sequence
from pathlib import Path

from gradbox.images.listing import list_images
from gradbox.localization import Sample


def find_images(
    inputs: Sequence[str | Path], *, apart_from: str | Path | None = None
) -> list[Sample]:
    """The samples of `list_images`.

    Raises:
        UsageError: as `list_images`.
    """
    return list(list_images(inputs, apart_from=apart_from))
