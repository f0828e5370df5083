"""`folder:DIR`: images without boxes; the first folder below DIR is the class of the image."""

from gradbox.datasets import layout
from gradbox.datasets.dataset import Dataset, gather
from gradbox.localization import Sample


def load(rest: str) -> Dataset:
    """All images below a folder; those directly in it have no class.

    Raises:
        UsageError: there is no such folder, or no image in it.
    """
    root = layout.folder("folder", rest)
    present = layout.images_under(root)
    samples = [
        Sample(image_id=image_id, source=path, label=_label(image_id))
        for image_id, path in present.items()
    ]
    return gather(f"folder:{root.as_posix()}", root, samples, present=present)


def _label(image_id: str) -> str | None:
    first, slash, _ = image_id.partition("/")
    return first if slash else None
