"""What stands before the server: who is answered, and what the page may load."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HOSTS = frozenset({"127.0.0.1", "localhost"})
POLICY = "; ".join(
    [
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Gradio's page is made by both
        "style-src 'self' 'unsafe-inline'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'self'",
    ]
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
_REFUSAL = b"gradbox web answers its own page on this machine only\n"


class Guard:
    """Answers the page of this machine alone, and tells its browser to load nothing else; ASGI.

    A request is refused whose Host is another name, as of a page that has its own name point here
    (DNS rebinding), or whose Origin is another page's, which a browser sends along but asks no
    leave for where a form or an upload is plain.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # the page has none
            await send({"type": "websocket.close"})
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not is_own(headers.get(b"host", ""), headers.get(b"origin")):
            plain = (b"content-type", b"text/plain; charset=utf-8")
            await send({"type": "http.response.start", "status": 403, "headers": [plain]})
            await send({"type": "http.response.body", "body": _REFUSAL})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self.app(scope, receive, guarded)


def is_own(host: str, origin: str | None) -> bool:
    """Whether a request is to this machine by its own name, and of a page from there, if of any.

    >>> is_own("127.0.0.1:7860", None), is_own("localhost:7860", "http://localhost:7860")
    (True, True)
    >>> is_own("evil.example:7860", None), is_own("127.0.0.1:7860", "http://evil.example")
    (False, False)
    >>> is_own("127.0.0.1:7860", "null"), is_own("127.0.0.1:7860", "http://127.0.0.1:8000")
    (False, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname
        return name in HOSTS and (origin is None or urlsplit(origin).netloc == host)
    except ValueError:
        return False
