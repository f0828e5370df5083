"""The page on exports: its programs run, and its table has every format."""

import re
from pathlib import Path

from gradbox.exports import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "exports.md").read_text("utf-8")


def test_the_table_has_every_format() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, flags=re.MULTILINE) == sorted(FORMATS, key=order)


def order(name: str) -> tuple[bool, str]:
    """By name, the files of pixels last."""
    return name in ("crops", "masks"), name


def test_the_first_program_of_the_page_runs() -> None:
    program, _ = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)  # the other: labelling
    names: dict[str, object] = {}
    exec(program, names)
    assert len(names["table"]) == 4  # type: ignore[arg-type]
