"""The image of a task as a file: of a folder, of Label Studio, or of another host that is named."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any
from urllib.parse import parse_qs, unquote, urlsplit

from gradbox.errors import ImageError, UsageError
from gradbox.images.read import hash_image
from gradbox.serve.access import Access
from gradbox.serve.http import Answer, Client, Headers, RequestError, origin_of

LOCAL = "/data/local-files/"
"""Where Label Studio serves the files of its own machine, the path behind `?d=`."""
UPLOADS = "/data/upload/"
"""Where it serves what was imported by hand."""


BUCKETS = "/tasks/"
"""Where it serves what lies in a bucket."""
_SCHEMES = ("s3", "gs", "azure-blob")
"""Of addresses in buckets."""


def address_in(data: Any, key: str, task: Any) -> str | None:
    """The address of a task's image, None where it has none.

    What lies in a bucket is asked of Label Studio, by the task's id: it sends the file, or a
    redirect to one that is signed.
    """
    address = data.get(key) if isinstance(data, dict) else None
    if not isinstance(address, str) or not address:
        return None
    if address.partition("://")[0] not in _SCHEMES:
        return address
    return f"{BUCKETS}{task}/resolve/?fileuri={urlsafe_b64encode(address.encode()).decode()}"


def places(
    label_studio: str | None, key: str | None, others: Sequence[str], root: Path | None
) -> "Places":
    """Where images may come from, as options say it.

    Raises:
        UsageError: an option that is no address, a folder that is not there, or a key for nobody.
    """
    if root is not None and not root.is_dir():
        raise UsageError(f"--root {root}: there is no such folder")
    if key is not None and label_studio is None:
        raise UsageError("the key is Label Studio's: give its address as --label-studio")
    own = [] if label_studio is None else [origin_of(label_studio, "--label-studio")]
    client = Client([*own, *(origin_of(url, "--images-from") for url in others)])
    access = None if label_studio is None else Access(label_studio, client, key)
    return Places(client=client, access=access, root=root)


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where images may come from.

    `root` is the folder that Label Studio serves as local files; paths below it need no request.
    `client` knows Label Studio and the other hosts that are named.
    """

    client: Client
    access: Access | None = None
    root: Path | None = None

    @contextmanager
    def file(self, address: str, spool: Path) -> Iterator[tuple[Path, str]]:
        """The image's file and its SHA-256; what was fetched lies below `spool` for the block.

        Raises:
            ImageError: it may not be read, or cannot be.
        """
        path = self._local(address)
        if path is not None:
            yield path, hash_image(path)
            return
        with NamedTemporaryFile(dir=spool) as file:
            try:
                self._fetch(self._url(address), file)
            except RequestError as error:
                raise ImageError(str(error)) from None
            file.flush()
            file.seek(0)
            yield Path(file.name), hashlib.file_digest(file, "sha256").hexdigest()

    def _local(self, address: str) -> Path | None:
        """The file below the root that an address means, None where it has to be fetched."""
        if self.root is None:
            return None
        parts = urlsplit(address)
        if parts.path.startswith(LOCAL):
            (name,) = parse_qs(parts.query).get("d", [""])[:1]
        elif parts.scheme or address.startswith("/"):
            return None
        else:
            name = unquote(address)
        root = self.root.resolve()
        try:
            path = (root / name.lstrip("/")).resolve()
        except (OSError, ValueError) as error:
            raise ImageError(f"there can be no file of this name ({error})") from None
        if not path.is_relative_to(root):
            raise ImageError("the path leads out of the folder of --root")
        return path

    def _url(self, address: str) -> str:
        if address.startswith(("http://", "https://")):
            return address
        if not address.startswith("/"):
            scheme = address.partition(":")[0] if ":" in address[:12] else "a path"
            raise RequestError(
                f"{scheme} is not read here: serve the images over http, or give the folder that "
                "they are in as --root"
            )
        if self.access is None:
            raise RequestError("the image lies in Label Studio: give its address as --label-studio")
        return self.access.at(address)

    def _fetch(self, url: str, file: IO[bytes]) -> None:
        access = self.access

        def request(headers: Headers) -> Answer:
            file.seek(0)
            file.truncate()
            return self.client.request("GET", url, headers=headers, into=file)

        answer = access.asking(request) if access is not None else request({})
        if answer.status in (401, 403):
            raise RequestError(
                f"Label Studio gives the image to nobody without a key (status {answer.status}): "
                "give one as LABEL_STUDIO_API_KEY"
                if access is None or access.key is None
                else f"the key may not see the image (status {answer.status})"
            )
        if answer.status != 200:
            raise RequestError(f"the image cannot be fetched (status {answer.status})")
