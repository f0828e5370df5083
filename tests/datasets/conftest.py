"""Tiny files to build each layout from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    """Writes a grey image below the test's folder."""

    def write(name: str, width: int = 40, height: int = 30) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (width, height), 128).save(path)
        return path

    return write


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a text file below the test's folder."""

    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.fixture
def xml(text: Callable[[str, str], Path]) -> Callable[..., Path]:
    """Writes an annotation; an object is (name, xmin, ymin, xmax, ymax) and perhaps difficult."""

    def write(name: str, *objects: tuple, width: int = 40, height: int = 30) -> Path:
        parts = [f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"]
        for label, xmin, ymin, xmax, ymax, *difficult in objects:
            parts.append(
                f"<object><name>{label}</name><difficult>{int(any(difficult))}</difficult>"
                f"<bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
                f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox>"
                "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
                "<xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"
            )
        return text(name, f"<annotation>{''.join(parts)}</annotation>")

    return write
