"""`gradbox labels`, read back by the parser of configurations."""

import pytest
from commands import run

from gradbox.labelstudio.configuration import parse


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, list[str]]:
    assert run("labels", *words) == 0
    found = parse(capsys.readouterr().out)
    return {shape: list(control.labels) for shape, control in found.controls.items()}


def test_labels_of_words_of_a_file_and_of_a_model(capsys, tmp_path):
    assert printed(capsys, "cat", "a <b>", "cat") == {"rectangle": ["cat", "a <b>"]}
    file = tmp_path / "labels.txt"
    file.write_text("dog\r\n\n käfer \n", encoding="utf-8")
    both = printed(capsys, "--file", file, "--shapes", "brush,rectangle")
    assert both == {"rectangle": ["dog", "käfer"], "brush": ["dog", "käfer"]}
    (names,) = printed(capsys, "--model", "gradbox/scenes").values()
    assert len(names) == 15
    assert "butterfly" in names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cat", "--model", "gradbox/scenes"), "labels come from one place"),
        (("cat", "--shapes", "circle"), "no shape 'circle'"),
        (("--file", "missing.txt"), "missing.txt"),
        (("--model", "gradbox/nothing"), "no network 'nothing'"),
    ],
)
def test_what_cannot_be_printed_is_one_line(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("labels", *words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_an_empty_file_and_a_model_without_names(capsys, tmp_path):
    (tmp_path / "empty.txt").write_text("\n \n")
    assert run("labels", "--file", tmp_path / "empty.txt") == 2
    assert "is empty: write one label a line" in capsys.readouterr().err
