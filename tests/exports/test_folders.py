import pytest

from gradbox.errors import UsageError
from gradbox.exports.folders import whole_folder, write_beside


def test_a_folder_appears_at_the_end(tmp_path):
    with whole_folder(tmp_path / "labels") as partial:
        (partial / "a.txt").touch()
        assert not (tmp_path / "labels").exists()
    assert {path.name for path in tmp_path.rglob("*")} == {"labels", "a.txt"}


def test_a_file_keeps_the_folders_and_dots_of_its_image(tmp_path):
    write_beside(tmp_path, "a/b.v1.jpg", ".txt", "käfer")
    assert (tmp_path / "a" / "b.v1.txt").read_text(encoding="utf-8") == "käfer"


@pytest.mark.parametrize("image_id", ["../a.jpg", "b/../../a.jpg", "/a.jpg"])
def test_no_file_is_written_outside(image_id, tmp_path):
    with pytest.raises(UsageError, match="lies outside"):
        write_beside(tmp_path / "labels", image_id, ".txt", "")
    assert not list(tmp_path.iterdir())
