"""Places as users name them: paths and URLs."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gradbox.errors import UsageError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)


def address(place: str | Path) -> str:
    """A place as text: a path, or a URL other than file://, whose path is given.

    A URL that went through a `Path`, which takes one of its slashes, gets it back.

    >>> address("file:///data/a%20b"), address(Path("s3://photos/a.jpg"))
    ('/data/a b', 's3://photos/a.jpg')

    Raises:
        UsageError: a file:// URL of another machine.
    """
    text = _from_path(place) if isinstance(place, Path) else place
    if not text.lower().startswith("file://"):
        return text
    url = urlsplit(text)
    if url.netloc not in ("", "localhost"):
        raise UsageError(f"{text} is on another machine: write file:///PATH with three slashes")
    return unquote(text.split("://", 1)[1].removeprefix("localhost"))


def _from_path(path: Path) -> str:
    text = re.sub("^(s3|gs):/(?!/)", r"\1://", str(path))
    return re.sub("^file:/(?!/)", "file:///", text)


def is_url(place: str) -> bool:
    """Whether an `address` is a URL and no path."""
    return _URL.fullmatch(place) is not None
