"""Requests to places that the user has named, to no other address, bounded in bytes and time."""

import ipaddress
import json
import socket
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from gradbox.errors import UsageError

MAX_BYTES = 100_000_000
MAX_REDIRECTS = 3
SECONDS = 20.0
"""How long one request may take, with its redirects."""
_CONNECT_SECONDS = 3.0
_BLOCK = 1 << 16
_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)


class RequestError(ValueError):
    """A request that was not made, or whose answer cannot be used: one line that says why."""


@dataclass(frozen=True)
class Origin:
    """Who is asked: a scheme, a host and a port."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Origin":
        """The origin of an address.

        Raises:
            RequestError: it is no http or https address.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise RequestError(f"{url!r} is no address ({error})") from None
        if parts.scheme not in _PORTS or not host:
            raise RequestError(f"{url!r} is no address: write http://HOST or https://HOST")
        return cls(parts.scheme, host, port or _PORTS[parts.scheme])

    @property
    def netloc(self) -> str:
        """Host and port, as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


def origin_of(url: str, option: str) -> Origin:
    """The origin that an option names.

    Raises:
        UsageError: it names none.
    """
    try:
        return Origin.of(url)
    except RequestError as error:
        raise UsageError(f"{option} {error}") from None


Headers = Mapping[Origin, Mapping[str, str]]
"""What is sent beside the usual headers, to each origin its own."""


@dataclass(frozen=True)
class Answer:
    """What came back, where it was not written to a file."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    @property
    def json(self) -> Any:
        """What the body says, None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Client:
    """Asks the origins that are allowed, follows redirects only to these, and uses no proxy.

    A name is resolved once for each request, and the connection goes to the address that was
    checked. Addresses that no host has, and those where clouds keep their secrets (link-local), are
    refused for every name; a name that had a public address once is refused a private one.
    """

    allowed: Collection[Origin]
    max_bytes: int = MAX_BYTES
    seconds: float = SECONDS
    _public: set[Origin] = field(default_factory=set, repr=False)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Headers | None = None,
        body: Any = None,
        into: IO[bytes] | None = None,
    ) -> Answer:
        """One answer; `into` gets the body of a 200.

        Args:
            method: GET or POST.
            url: an http or https address.
            headers: what is sent beside the usual headers, to each origin its own.
            body: sent as JSON.
            into: a file for the body.

        Raises:
            RequestError: nobody may be asked there, nobody answers, or too much or too slowly.
        """
        until = time.monotonic() + self.seconds
        for _ in range(MAX_REDIRECTS + 1):
            origin = Origin.of(url)
            own = (headers or {}).get(origin, {})
            with self._answered(method, origin, url, own, body, until) as answer:
                target = answer.headers.get("Location")
                if answer.status not in _REDIRECTS or target is None:
                    usable = into if answer.status == 200 else None
                    return Answer(answer.status, self._read(answer, origin, usable, until))
                url = _joined(url, target)
        raise RequestError(f"{origin} redirects more than {MAX_REDIRECTS} times")

    @contextmanager
    def _answered(
        self,
        method: str,
        origin: Origin,
        url: str,
        headers: Mapping[str, str],
        body: Any,
        until: float,
    ) -> Iterator[Any]:
        import urllib3

        if origin not in self.allowed:
            raise RequestError(f"{origin} is none of the places that images may come from")
        rest = until - time.monotonic()
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, rest), read=rest, total=rest)
        pool: urllib3.HTTPConnectionPool
        address = self._address(origin)
        if origin.scheme == "https":
            pool = urllib3.HTTPSConnectionPool(
                address, origin.port, server_hostname=origin.host, assert_hostname=origin.host
            )
        else:
            pool = urllib3.HTTPConnectionPool(address, origin.port)
        parts = urlsplit(url)
        with pool:
            try:
                answer = pool.request(
                    method,
                    (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                    headers={"Host": origin.netloc, "Accept-Encoding": "identity", **headers},
                    json=body,
                    timeout=timeout,
                    redirect=False,
                    retries=False,
                    preload_content=False,
                    decode_content=False,
                )
                with closing(answer):
                    yield answer
            except urllib3.exceptions.HTTPError as error:
                raise RequestError(f"{origin} does not answer ({_said(error)})") from None

    def _read(self, answer: Any, origin: Origin, into: IO[bytes] | None, until: float) -> bytes:
        parts, count = [], 0
        while block := answer.read1(_BLOCK):  # what is there: `stream` waits for a whole block
            count += len(block)
            if count > self.max_bytes:
                raise RequestError(f"{origin} sends more than {self.max_bytes / 1e6:,.0f} MB")
            if time.monotonic() > until:
                raise RequestError(f"{origin} takes longer than {self.seconds:g} s")
            if into is None:
                parts.append(block)
            else:
                into.write(block)
        return b"".join(parts)

    def _address(self, origin: Origin) -> str:
        """The address of a host, checked."""
        try:
            found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise RequestError(f"{origin} cannot be found ({error})") from None
        addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        plain = [getattr(one, "ipv4_mapped", None) or one for one in addresses]
        if any(one.is_link_local or one.is_multicast or one.is_unspecified for one in plain):
            raise RequestError(f"{origin} has the address {plain[0]}, which no host for images has")
        if all(one.is_global for one in plain):
            self._public.add(origin)
        elif origin in self._public:
            raise RequestError(
                f"{origin} had a public address and now has a private one ({plain[0]})"
            )
        return str(plain[0])


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError as error:
        raise RequestError(f"{url} redirects to {target!r}, which is no address") from error


def _said(error: Exception) -> str:
    text = " ".join(str(getattr(error, "reason", None) or error).split())
    return text.rpartition("): ")[2] or type(error).__name__
