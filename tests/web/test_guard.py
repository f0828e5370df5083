"""Who is answered: this machine by its own name, and pages that come from there."""

import asyncio
from typing import Any

import pytest

from gradbox.web.guard import POLICY, Guard


def answer(**headers: str) -> tuple[int, dict[bytes, bytes], bool]:
    """The status, the headers, and whether the server behind was asked at all."""
    asked: list[bool] = []
    sent: list[Any] = []

    async def server(scope: Any, receive: Any, send: Any) -> None:
        asked.append(True)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"1")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [(k.encode(), v.encode()) for k, v in headers.items()]}
    asyncio.run(Guard(server)(scope, None, send))  # type: ignore[arg-type]
    return sent[0]["status"], dict(sent[0]["headers"]), bool(asked)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:7860"},
        {"host": "localhost:7860"},
        {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:7860"},
    ],
)
def test_its_own_page_is_answered_and_may_load_nothing_else(headers: dict[str, str]) -> None:
    status, sent, asked = answer(**headers)
    assert (status, asked) == (200, True)
    assert sent[b"a"] == b"1"
    assert sent[b"content-security-policy"] == POLICY.encode()
    assert "default-src 'self'" in POLICY
    assert "http" not in POLICY  # no other place is named


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": ""},
        {"host": "evil.example:7860"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "[127.0.0.1"},
        {"host": "127.0.0.1:7860", "origin": "http://evil.example"},
        {"host": "127.0.0.1:7860", "origin": "null"},
        {"host": "127.0.0.1:7860", "origin": "http://127.0.0.1:8000"},
        {"host": "127.0.0.1:7860", "origin": "http://localhost:7860"},
    ],
)
def test_any_other_is_refused_before_the_server_is_asked(headers: dict[str, str]) -> None:
    status, _, asked = answer(**headers)
    assert (status, asked) == (403, False)


def test_there_are_no_web_sockets() -> None:
    sent: list[Any] = []

    async def server(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(server)({"type": "websocket", "headers": []}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close"}]
