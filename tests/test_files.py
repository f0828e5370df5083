import hashlib
import json
from pathlib import Path

import pytest

from gradbox import files


def test_whole_file_gives_the_name_only_when_the_block_ends(tmp_path: Path):
    path = tmp_path / "new" / "out.txt"
    with files.whole_file(path) as partial:
        partial.write_text("all of it")
        assert not path.exists()
    assert path.read_text() == "all of it"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whole_file_keeps_the_old_file_where_the_block_fails(
    tmp_path: Path, error: type[BaseException]
):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def write_half() -> None:
        with files.whole_file(path) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_write_text_is_utf_8_whatever_the_locale(tmp_path: Path):
    files.write_text(tmp_path / "a.txt", "Größe ≥ 1\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe ≥ 1\n".encode()


def test_write_json_can_be_read_back_and_refuses_nan(tmp_path: Path):
    value = {"name": "müsli", "boxes": [[0.5, 1, 2, 3]], "label": None}
    files.write_json(tmp_path / "a.json", value)
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == value
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "b.json", {"corloc": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_hashes_are_sha_256_in_hex(tmp_path: Path):
    # FIPS 180-2, appendix B.1: the digest of "abc".
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert files.hash_bytes(b"abc") == files.hash_file(tmp_path / "abc") == digest


def test_hash_file_reads_more_than_one_block(tmp_path: Path):
    data = bytes(range(256)) * 4096 + b"rest"
    (tmp_path / "large").write_bytes(data)
    assert files.hash_file(tmp_path / "large") == hashlib.sha256(data).hexdigest()
