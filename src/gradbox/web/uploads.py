"""What came from a browser: checked before anything of it is decoded."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gradbox.errors import ImageError
from gradbox.geometry import Size
from gradbox.images.decode import stored_size
from gradbox.images.read import open_image

_LONGEST_NAME = 80


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the page takes of one image.

    `megabytes` of its file, `megapixels`, and `slim`: how many times longer than the other a side
    may be. `images` is how many a user may draw boxes on.
    """

    megabytes: int = 50
    megapixels: int = 50
    slim: int = 50
    images: int = 200

    def check_file(self, path: Path) -> None:
        """Refuse a file by its length and its header, before it is decoded.

        Raises:
            ImageError: one line that says why, without a path.
        """
        with open_image(path) as stream:
            if stream.size > 1e6 * self.megabytes:
                raise ImageError(
                    f"the file has {stream.size / 1e6:,.0f} MB, more than {self.megabytes}: make "
                    "it smaller"
                )
        try:
            size = stored_size(path)
        except ImageError:  # no header that Pillow reads: the format's own reader says why
            return
        self.check_size(size)

    def check_size(self, size: Size) -> None:
        """Refuse an image of this (height, width).

        Raises:
            ImageError: one line that says why.
        """
        height, width = size
        shape = f"the image has {width:,} x {height:,} pixels"
        if height * width > 1e6 * self.megapixels:
            raise ImageError(f"{shape}, more than {self.megapixels} million: make it smaller")
        if max(size) > self.slim * min(size):
            raise ImageError(
                f"{shape}, one side more than {self.slim} times the other: cut out what matters"
            )


def plain_name(text: str) -> str:
    r"""The name of a file as a browser sent it, without folders and what no name should hold.

    >>> plain_name("../../etc/pass\x00wd.png"), plain_name("C:\\cats\\tom.jpg")
    ('passwd.png', 'tom.jpg')
    >>> plain_name("..")
    'image'
    """
    name = PurePosixPath(text.replace("\\", "/")).name
    kept = "".join(char for char in name if char.isprintable() and char not in '<>:"|?*')
    stem, dot, suffix = kept.strip(". ").rpartition(".")
    return f"{stem[: _LONGEST_NAME - len(suffix)]}{dot}{suffix[:_LONGEST_NAME]}" or "image"
