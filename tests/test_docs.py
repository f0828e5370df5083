"""What the documents say is true: code runs, commands exist, each command is documented."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from gradbox.cli import app
from gradbox.demo.photographs import PHOTOGRAPHS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


@pytest.mark.foreground
def test_the_first_program_of_the_readme_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (program,) = blocks(ROOT / "README.md", "python")
    printed, table = blocks(ROOT / "README.md", "text")
    (chelsea,) = (p.sample.source for p in PHOTOGRAPHS if p.path.endswith("chelsea.png"))
    shutil.copy(str(chelsea), tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(program, {})
    said = capsys.readouterr().out
    assert words(said) == words(printed)
    np.testing.assert_allclose(numbers(said), numbers(printed), atol=1.5)  # a box may move a pixel
    get_command(app)(["locate", "chelsea.png"], standalone_mode=False)
    said = capsys.readouterr().out
    assert words(said) == words(table)
    np.testing.assert_allclose(numbers(said), numbers(table), atol=1.5)


def words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z]+", text)


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


@pytest.mark.parametrize("command", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_each_command_is_in_the_readme_or_the_documents(command: str) -> None:
    assert any(f"gradbox {command}" in page.read_text("utf-8") for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_in_the_documents_exist(page: Path) -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = line.split("#")[0].split()
            if not words or words[0] != "gradbox":
                continue
            command = commands[words[1]]
            for group in words[2:3]:
                command = getattr(command, "commands", {}).get(group, command)
            known = {name for p in command.params for name in p.opts} | {"--help"}
            assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_the_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), f"{page.name} -> {target}"


def test_no_document_names_a_path_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.$])/(work|tmp|home|root)/", page.read_text("utf-8")), page


def test_the_columns_of_a_table_of_boxes_stand_where_a_user_looks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the page on evaluation, in `gradbox list datasets`, and in the help of the argument."""
    columns = "image,width,height,class,xmin,ymin,xmax,ymax"
    assert columns in (ROOT / "docs" / "evaluation.md").read_text("utf-8")
    argument = get_command(app).commands["evaluate"].params[0]  # type: ignore[attr-defined]
    assert columns in argument.help
    app(["list", "datasets"], standalone_mode=False)
    assert columns in capsys.readouterr().out
