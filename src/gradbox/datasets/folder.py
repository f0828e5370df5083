"""`folder:DIR`: images without boxes; the first folder below DIR is the class of the image.

DIR may be at a URL, a tar, or a pattern of tars, whose `.cls` and `.json` files go before.
"""

from pathlib import Path

from gradbox.datasets import layout
from gradbox.datasets.dataset import Dataset, gather
from gradbox.images.listing import list_images
from gradbox.images.tars import is_tar
from gradbox.localization import Sample
from gradbox.stores import address, is_url


def load(rest: str) -> Dataset:
    """All images below a folder; those directly in it have no class.

    Raises:
        UsageError: there is no such folder, or no image in it.
    """
    place = address(rest)
    if is_url(place) or is_tar(place):
        found = [(one.image_id, one.source, one.label) for one in list_images([place])]
        root, spec = Path(place), f"folder:{place}"
    else:
        root = layout.folder("folder", place)
        found = [(name, path, None) for name, path in layout.images_under(root).items()]
        spec = f"folder:{root.as_posix()}"
    samples = [
        Sample(image_id=image_id, source=source, label=label or _label(image_id))
        for image_id, source, label in found
    ]
    return gather(spec, root, samples, present={one.image_id for one in samples})


def _label(image_id: str) -> str | None:
    first, slash, _ = image_id.rpartition(".tar/")[2].partition("/")
    return first if slash else None
