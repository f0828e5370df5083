"""What SECURITY.md promises of XML and of stored texts; of weights see models/test_weights.py."""

from pathlib import Path

import pytest

from gradbox.datasets.annotation import read
from gradbox.errors import UsageError
from gradbox.methods import rebuilt


def annotation(entities: str, name: str) -> str:
    return f"<!DOCTYPE a [{entities}]><annotation><object><name>{name}</name></object></annotation>"


def test_entities_of_an_annotation_do_not_grow_without_bound(tmp_path: Path) -> None:
    """Ten levels of ten: 3 GB of text from 0.6 KB, which expat ends before the first 100 MB."""
    levels = [f'<!ENTITY x{level} "{f"&x{level - 1};" * 10}">' for level in range(1, 10)]
    path = tmp_path / "bomb.xml"
    path.write_text(annotation('<!ENTITY x0 "lol">' + "".join(levels), "&x9;"))
    with pytest.raises(UsageError, match=r"bomb\.xml is not an XML annotation"):
        read(path)


def test_an_annotation_fetches_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("cat")
    path = tmp_path / "reader.xml"
    path.write_text(annotation(f'<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">', "&x;"))
    with pytest.raises(
        UsageError, match=r"reader\.xml is not an XML annotation \(undefined entity"
    ):
        read(path)


def test_what_a_stored_text_names_is_not_run(tmp_path: Path) -> None:
    """A run folder or regressor of a stranger: its method is compared as text."""
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    for text in (f"{evil}:X", f"product({evil}:X(k=1), sensitivity)"):
        assert rebuilt(text) == text
    assert not (tmp_path / "ran").exists()
