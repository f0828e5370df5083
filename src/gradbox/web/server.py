"""The page on a port of this machine, with every door of Gradio closed that it does not need."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gradbox.errors import UsageError
from gradbox.web.drawn import Drawn
from gradbox.web.explorer import Explorer
from gradbox.web.guard import Guard

ADDRESS = "127.0.0.1"
_NEEDED = ("gradio", "gradio_image_annotation")
_SESSIONS = 8
"""Open pages whose image is kept, the latest."""
WAITING = 32
"""Requests that may wait for their turn."""


def check_installed() -> None:
    """Refuse to start without the extra.

    Raises:
        UsageError: it is not installed.
    """
    if not all(map(find_spec, _NEEDED)):
        raise UsageError("gradbox web needs Gradio: pip install 'gradbox[web]'")


@contextmanager
def served(explorer: Explorer, drawn: Drawn, *, port: int | None = None) -> Iterator[str]:
    """The page while the block lasts; its address.

    Args:
        explorer: the classifier and the methods.
        drawn: where drawn boxes and what is fitted to them go.
        port: of 127.0.0.1; the first free one from 7860 on if there is none.

    Raises:
        UsageError: the extra is not installed, or the port is taken.
    """
    check_installed()
    with TemporaryDirectory(prefix="gradbox-web-") as folder, _surroundings(folder):
        from gradbox.web.page import page

        made = page(explorer, drawn, Path(folder))
        _hush()
        try:
            _, address, _ = made.launch(server_port=port, **_settings(explorer))
        except OSError as error:
            taken = "7860 to 7959" if port is None else str(port)
            raise UsageError(f"port {taken} of {ADDRESS} is taken: give another --port") from error
        try:
            yield address.rstrip("/")
        finally:
            made.close(verbose=False)


def _settings(explorer: Explorer) -> dict[str, Any]:
    """What Gradio is told; docs/web.md says what each keeps out."""
    import gradio as gr
    from starlette.middleware import Middleware

    return {
        "server_name": ADDRESS,
        "share": False,
        "prevent_thread_lock": True,
        "quiet": True,
        "inbrowser": False,
        "show_error": False,
        "strict_cors": True,
        "max_file_size": f"{explorer.limits.megabytes}mb",
        "allowed_paths": None,
        "state_session_capacity": _SESSIONS,
        "max_threads": 8,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "mcp_server": False,
        "pwa": False,
        "root_path": "",
        "num_workers": 0,
        "app_kwargs": {
            "middleware": [Middleware(Guard)],
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
        "theme": gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        "css": _text("page.css"),
        "js": _text("paste.js"),
    }


def _hush() -> None:
    """Keep Gradio from printing each file of the drawing component that it serves."""
    from gradio import routes

    vars(routes)["print"] = lambda *_: None


@contextmanager
def _surroundings(folder: str) -> Iterator[None]:
    """Without what the environment says to Gradio, which could open doors; the rest comes back."""
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    os.environ |= {"GRADIO_TEMP_DIR": folder, "GRADIO_ANALYTICS_ENABLED": "False"}
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith("GRADIO_")]:
            del os.environ[name]
        os.environ |= {name: kept[name] for name in kept if name.startswith("GRADIO_")}


def _text(name: str) -> str:
    return resources.files("gradbox.web").joinpath(name).read_text("utf-8")
