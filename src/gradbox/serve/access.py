"""What Label Studio lets in: its two kinds of keys."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gradbox.serve.http import Answer, Client, Headers, Origin, RequestError

_ACCESS_SECONDS = 240.0
"""How long an access token is used; Label Studio's last five minutes."""


@dataclass(eq=False)
class Access:
    """Label Studio at an address, with the key of one of its users.

    A legacy key is sent as it is. A personal access token is a refresh token (a JWT): it is
    exchanged for access tokens, and goes to nobody but Label Studio's own exchange.
    """

    url: str
    client: Client
    key: str | None = field(default=None, repr=False)
    _access: str | None = field(default=None, repr=False)
    _until: float = field(default=0.0, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def origin(self) -> Origin:
        """Who is asked."""
        return Origin.of(self.url)

    @property
    def is_personal(self) -> bool:
        """Whether the key is a personal access token."""
        return self.key is not None and self.key.count(".") == 2

    def headers(self) -> Headers:
        """What lets a request in at Label Studio, and is sent nowhere else.

        Raises:
            RequestError: Label Studio does not take the token.
        """
        if self.key is None:
            return {}
        kind, key = (
            ("Bearer", self._exchanged(self.key)) if self.is_personal else ("Token", self.key)
        )
        return {self.origin: {"Authorization": f"{kind} {key}"}}

    def ask(self, path: str, *, with_key: bool = True) -> Answer:
        """What Label Studio answers at a path below its address.

        Raises:
            RequestError: it does not answer, or does not take the token.
        """
        return self.asking(
            lambda headers: self.client.request("GET", self.at(path), headers=headers),
            with_key=with_key,
        )

    def asking(self, request: Callable[[Headers], Answer], *, with_key: bool = True) -> Answer:
        """The answer to a request; with a new access token where the last one has run out."""
        if not with_key:
            return request({})
        answer = request(self.headers())
        if answer.status == 401 and self.is_personal:
            self._until = 0.0
            answer = request(self.headers())
        return answer

    def at(self, path: str) -> str:
        """The address of a path of Label Studio, which may itself lie below a path of its host."""
        base = urlsplit(self.url).path.rstrip("/")
        below = path if path.startswith(f"{base}/") and base else f"{base}/{path.lstrip('/')}"
        return f"{self.origin}{below}"

    def _exchanged(self, token: str) -> str:
        with self._lock:
            if self._access is None or time.monotonic() > self._until:
                url = self.at("api/token/refresh/")
                answer = self.client.request("POST", url, body={"refresh": token})
                made = answer.json.get("access") if isinstance(answer.json, dict) else None
                if answer.status != 200 or not isinstance(made, str):
                    raise RequestError(
                        f"{self.origin} does not take the token (status {answer.status}): make a "
                        "new personal access token under Account & Settings"
                    )
                self._access, self._until = made, time.monotonic() + _ACCESS_SECONDS
            return self._access
