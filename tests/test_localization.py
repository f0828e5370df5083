"""The contract: what a `Sample` may be called."""

import pytest

from gradbox import UsageError
from gradbox.localization import Sample


@pytest.mark.parametrize("image_id", ["../../x", "/etc/x", "a/../../x", "..", "a/.."])
def test_an_id_that_leads_outside_is_refused(image_id: str) -> None:
    # It would be written to <out>/pictures/<id>.jpg.
    with pytest.raises(UsageError, match="lies outside the images"):
        Sample(image_id=image_id, source="a.png")


@pytest.mark.parametrize("image_id", ["a\0b.png", "\udcff.png"])
def test_an_id_that_can_name_no_file_is_refused(image_id: str) -> None:
    with pytest.raises(UsageError, match="can name no file"):
        Sample(image_id=image_id, source="a.png")


@pytest.mark.parametrize("image_id", ["a..b", "...", "a/b.png", "\n\u2028\x1b", " ", "C:"])
def test_other_ids_are_as_they_are(image_id: str) -> None:
    assert Sample(image_id=image_id, source="a.png").image_id == image_id
