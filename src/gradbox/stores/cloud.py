"""Buckets of S3, Google Cloud Storage and what speaks as they do, through pyarrow."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gradbox.errors import UsageError
from gradbox.stores.blocks import Blocks
from gradbox.stores.store import Entry, Store, StoreError, is_hidden

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileInfo, FileSystem

_PIECE = 2**23
_TRIES = 3
_CONNECT_SECONDS = 3.0
_RETRY_SECONDS = 8
_ANONYMOUS = "anonymous@"
_KEYS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login",
}
_PATIENCE = {"s3": f"after {_TRIES} tries", "gs": f"within {_RETRY_SECONDS} s"}
_DENIED = re.compile(
    r"ACCESS_DENIED|INVALID_ACCESS_KEY|INVALID_CLIENT_TOKEN|SIGNATURE|Token|[Cc]redential|authenticat|"
    r"UNAUTHENTICATED|PERMISSION_DENIED|HTTP status 40[13]\b|Permission denied|\b40[13]\b"
)


@dataclass(frozen=True)
class CloudStore(Store):
    """What lies below a URL `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`.

    `anonymous@BUCKET` asks without credentials. Names are keys as they are, without escapes.
    """

    url: str
    is_local = False

    def check(self) -> None:
        """Whether the bucket is there, and can be read from.

        Raises:
            UsageError: no bucket is named.
            StoreError: it is not there, gives no right, or does not answer.
        """
        if not re.fullmatch(r"[a-z0-9][\w.:-]*", self._bucket, re.IGNORECASE):
            raise UsageError(f"{self.url}: name a bucket, as in {self._scheme}://BUCKET/FOLDER")
        if self.stat("") is None and self._stat(self._bucket, "") is None:
            raise StoreError(f"{self.url}: there is no bucket {self._bucket!r}{self._where}")

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with self._told(name), self._files.open_input_stream(self._key(name)) as stream:
            return stream.read()

    def open(
        self, name: str, part: tuple[int, int] | None = None, version: int | None = None
    ) -> Blocks:
        """See `Store`."""
        with self._told(name):
            opened = _open_file if version is None else _known_file
            file, size = opened(self, name, version)

        def read(start: int, count: int) -> bytes:
            with self._told(name):
                return file.read_at(count, start)

        return Blocks(read, size, part)

    def write(self, name: str, data: bytes) -> None:
        """See `Store`; the object appears when all of it has been sent."""
        with self._told(name):
            stream = self._files.open_output_stream(self._key(name))
            stream.write(data)  # closed only where this went well: closing makes the object
            stream.close()

    def write_file(self, name: str, path: Path) -> None:
        """See `Store`."""
        with self._told(name), path.open("rb") as file:
            stream = self._files.open_output_stream(self._key(name))
            while piece := file.read(_PIECE):
                stream.write(piece)
            stream.close()

    def remove(self, name: str) -> None:
        """See `Store`."""
        with self._told(name):
            try:
                self._files.delete_file(self._key(name))
            except FileNotFoundError:
                return

    def stat(self, name: str) -> Entry | None:
        """See `Store`."""
        return self._stat(self._key(name), name)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """See `Store`."""
        yield from self._listed(folder)

    def walk(self, folder: str = "") -> Iterator[Entry]:
        """See `Store`; pyarrow lists a folder of Google's without the folders in it."""
        if self._scheme != "gs":
            yield from super().walk(folder)
            return
        start = len(folder) + 1 if folder else 0
        for entry in self._listed(folder, recursive=True):
            if not entry.is_folder and not is_hidden(entry.name[start:]):
                yield entry

    def _listed(self, folder: str, *, recursive: bool = False) -> Iterator[Entry]:
        asked = _pyarrow().FileSelector(
            self._key(folder), allow_not_found=True, recursive=recursive
        )
        start = len(self._root) + 1
        with self._told(folder):
            infos = self._files.get_file_info(asked)
            found = sorted(((i.path[start:].split("/"), *_facts(i)) for i in infos), key=_parts)
        for parts, is_folder, size, version in found:
            yield Entry("/".join(parts), is_folder, size, version)

    def path(self, name: str) -> Path:
        """There is none."""
        raise TypeError(f"{self.url}/{name} is not on this machine")

    @property
    def _scheme(self) -> str:
        return self.url.partition("://")[0]

    @property
    def _root(self) -> str:
        """Bucket and prefix."""
        return self.url.partition("://")[2].removeprefix(_ANONYMOUS)

    @property
    def _bucket(self) -> str:
        return self._root.partition("/")[0]

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    @property
    def _files(self) -> "FileSystem":
        is_anonymous = self.url.partition("://")[2].startswith(_ANONYMOUS)
        endpoint = SCHEMES[self._scheme][0]()
        return _file_system(self._scheme, self._bucket, is_anonymous, endpoint)

    @property
    def _where(self) -> str:
        """The server, where it is not the usual one."""
        endpoint = SCHEMES[self._scheme][0]()
        return f" at {endpoint}" if endpoint else ""

    def _stat(self, key: str, name: str) -> Entry | None:
        is_absent = _pyarrow().FileType.NotFound
        with self._told(name):
            info = self._files.get_file_info(key)
            return None if info.type == is_absent else Entry(name, *_facts(info))

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """What the store says, as one line."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            url = f"{self.url}/{name}" if name else self.url
            text = shorten(str(error), 300, placeholder=" ...")
            if _DENIED.search(text):
                why = f"no right to it{self._where}: {_KEYS[self._scheme]}"
            else:
                why = (
                    f"the store{self._where} does not answer as it should {_PATIENCE[self._scheme]}"
                )
            raise StoreError(f"{url}: {why} ({text})") from error


_parts = itemgetter(0)


def _facts(info: "FileInfo") -> tuple[bool, int | None, int | None]:
    is_folder = info.type == _pyarrow().FileType.Directory
    return (True, None, None) if is_folder else (False, info.size, info.mtime_ns)


def _pyarrow() -> Any:
    """The file systems of pyarrow.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import pyarrow.fs
    except ImportError as error:
        raise UsageError("s3:// and gs:// need pyarrow: pip install 'gradbox[scale]'") from error
    return pyarrow.fs


@lru_cache(maxsize=64)
def _file_system(
    scheme: str, bucket: str, is_anonymous: bool, _endpoint: str | None
) -> "FileSystem":
    """The connections of this process to one server; many threads can use them.

    Raises:
        OSError: the store does not say where the bucket is.
    """
    return SCHEMES[scheme][1](bucket, is_anonymous)


def _open_file(store: CloudStore, name: str, _: int | None) -> tuple["NativeFile", int]:
    """A file that any number of threads may read from, and its size."""
    file = store._files.open_input_file(store._key(name))
    return file, file.size()


_known_file = lru_cache(maxsize=16)(_open_file)
"""The same: a tar of many images is opened once."""


def _forget() -> None:
    _known_file.cache_clear()
    _file_system.cache_clear()


if hasattr(os, "register_at_fork"):  # a child shares no connection with its parent
    os.register_at_fork(after_in_child=_forget)


def _s3_endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def _gs_endpoint() -> str:
    return os.environ.get("STORAGE_EMULATOR_HOST", "")


def _s3(bucket: str, is_anonymous: bool) -> "FileSystem":
    fs = _pyarrow()
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint := _s3_endpoint():
        more: dict[str, Any] = _server(endpoint)
        more["region"] = region or "us-east-1"
    else:
        more = {"region": fs.resolve_s3_region(bucket)}
    return fs.S3FileSystem(
        anonymous=is_anonymous,
        connect_timeout=_CONNECT_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        allow_delayed_open=True,
        **more,
    )


def _gs(_: str, is_anonymous: bool) -> "FileSystem":
    endpoint = _gs_endpoint()
    return _pyarrow().GcsFileSystem(
        anonymous=is_anonymous or bool(endpoint),
        retry_time_limit=timedelta(seconds=_RETRY_SECONDS),
        **(_server(endpoint) if endpoint else {}),
    )


def _server(endpoint: str) -> dict[str, Any]:
    url = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
    if not url.netloc:
        raise UsageError(f"{endpoint!r} is no address of a store: write http://HOST:PORT")
    return {"scheme": url.scheme, "endpoint_override": url.netloc}


SCHEMES: dict[str, tuple[Callable[[], str], Callable[[str, bool], "FileSystem"]]] = {
    "s3": (_s3_endpoint, _s3),
    "gs": (_gs_endpoint, _gs),
}
"""For each scheme: the server that the environment names, and how its buckets are opened."""
