"""One photograph under several maps: which panels there are, and what is refused."""

from pathlib import Path

import networks
import numpy as np
import pytest
from PIL import Image

from gradbox.cli import main
from gradbox.errors import ImageError, UsageError
from gradbox.models.load import SCENES
from gradbox.runs import map_sheet as sheets
from gradbox.runs.map_sheet import MAPS, map_sheet

CLASSIFIER = networks.classifier(size=(32, 32))
PHOTOGRAPH = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The captions of the panels that are put together."""
    seen: list[str] = []
    together = sheets.contact_sheet

    def noting(panels, **options):
        seen.extend(name for name, _ in panels)
        return together(panels, **options)

    monkeypatch.setattr(sheets, "contact_sheet", noting)
    return seen


def test_every_map_that_is_shown_by_itself_has_a_panel(captions: list[str]) -> None:
    # It has no such layer, and no attention.
    texts = [text for text in MAPS if "stride16" not in text and text != "rollout"]
    map_sheet(PHOTOGRAPH, CLASSIFIER, methods=MAPS[:2])
    assert captions == list(MAPS[:2])
    captions.clear()
    whole = map_sheet(PHOTOGRAPH, CLASSIFIER, methods=texts, label="3", side=60)
    assert captions == texts
    assert whole.std() > 10


def test_the_sheet_has_a_panel_a_map_of_the_photographs_shape() -> None:
    one = map_sheet(PHOTOGRAPH, CLASSIFIER, methods=["gradcam"], side=60)
    four = map_sheet(PHOTOGRAPH, CLASSIFIER, methods=["gradcam"] * 4, columns=2, side=60)
    # A panel of 60 x 40 with its margin of 12 around it, and a line for the caption.
    assert one.shape[1] == 60 + 2 * 12
    assert four.shape[1] == 2 * 60 + 3 * 12
    assert four.shape[0] - one.shape[0] == one.shape[0] - 12


def test_what_the_network_cannot_have_is_left_out(captions: list[str]) -> None:
    map_sheet(PHOTOGRAPH, CLASSIFIER, methods=["gradcam", "gradcam(layer=head)", "eigencam"])
    assert captions == ["gradcam", "eigencam"]
    with pytest.raises(UsageError, match="layer=head has no extent"):
        map_sheet(PHOTOGRAPH, CLASSIFIER, methods=["gradcam(layer=head)"])


def test_wrong_calls(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown name 'gradcm'"):
        map_sheet(PHOTOGRAPH, CLASSIFIER, methods=["gradcm"])
    with pytest.raises(UsageError, match="no map to show"):
        map_sheet(PHOTOGRAPH, CLASSIFIER, methods=[])
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(ImageError):
        map_sheet(tmp_path / "a.png", CLASSIFIER, methods=["gradcam"])


def test_the_command_writes_the_picture(tmp_path: Path, monkeypatch, capsys) -> None:
    Image.fromarray(PHOTOGRAPH).save(tmp_path / "a.png")
    given = ["maps", str(tmp_path / "a.png"), "--model", SCENES, "--out", str(tmp_path / "m.png")]
    monkeypatch.setattr("sys.argv", ["gradbox", *given, "--method", "gradcam", "--method", "dam"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert str(tmp_path / "m.png") in capsys.readouterr().out
    with Image.open(tmp_path / "m.png") as drawn:
        assert drawn.width > 2 * 240
    monkeypatch.setattr("sys.argv", ["gradbox", *given[:-1], str(tmp_path / "m.gif")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "a picture ends in .jpg" in capsys.readouterr().err
