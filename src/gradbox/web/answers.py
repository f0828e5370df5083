"""What the page shows, as pieces of HTML that hold all they need: no file, no path, no address."""

import base64
import io
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from gradbox.exports.conversions import to_dict
from gradbox.localization import RGB, Localization
from gradbox.reports.drawing import picture
from gradbox.reports.pages import render
from gradbox.web.explorer import Opened
from gradbox.web.fitting import Outcome

_LOG = logging.getLogger("gradbox.web")
_FOLDERS = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?[\\/](?:[^\\/\s:'\"]+[\\/])+")
FAILED = "something went wrong here: the terminal of gradbox web says what"


def answered(make: Callable[[], str], *, name: str = "") -> str:
    """What a function makes; where it fails, one line in place of it, without a path."""
    try:
        return make()
    except ValueError as error:  # UsageError and ImageError, and values out of range
        return problem(f"{name}: {error}" if name else str(error))
    except Exception:
        _LOG.exception("a request has failed")
        return problem(FAILED)


def problem(text: str) -> str:
    """One line of what is wrong."""
    return render("web_line.html", kind="problem", text=without_folders(text))


def remark(text: str) -> str:
    """One line of what is so."""
    return render("web_line.html", kind="remark", text=without_folders(text))


def without_folders(text: str) -> str:
    """One line, and of each path in it the last part alone.

    >>> without_folders("/home/ann/fits/fit-1.safetensors is there already")
    'fit-1.safetensors is there already'
    >>> without_folders("no class 'animal/dog'; 1/2")
    "no class 'animal/dog'; 1/2"
    """
    return _FOLDERS.sub("", " ".join(text.split()))


def found_html(opened: Opened, found: Localization, said: dict[str, Any]) -> str:
    """The picture of a localization, its boxes as a table, and both to download.

    `said` are the words of the page for how it came about, which go into the JSON.
    """
    drawn = picture(opened.rgb, found, frame=opened.loaded.frame)
    line = said | to_dict(found)
    stem = Path(opened.name).stem
    return render(
        "web_found.html",
        found=found,
        alt=f"{opened.name}: {len(found.boxes)} boxes",
        picture=_link("image/jpeg", _jpeg(drawn)),
        picture_name=f"{stem}-boxes.jpg",
        json=_link("application/json", json.dumps(line, indent=2, allow_nan=False).encode()),
        json_name=f"{stem}.json",
    )


def fitted_html(outcome: Outcome) -> str:
    """Before, after and constant boxes as a table, and where the fit is."""
    return render("web_fitted.html", outcome=outcome)


def _jpeg(rgb: RGB) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _link(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
