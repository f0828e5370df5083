"""docs/domains.md is true: its scripts run, and what they draw is what they say."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import sky
import tifffile
import welds
from astropy.io import fits
from domain import RUNS, write_dataset
from tables import code

from gradbox.datasets import load_dataset

PAGE = Path(__file__).parents[1] / "docs" / "domains.md"


def bounds(mask: np.ndarray) -> tuple[int, ...]:
    """xmin, ymin, xmax, ymax of what is true, by another way than the script's."""
    (top, left), (bottom, right) = np.argwhere(mask).min(axis=0), np.argwhere(mask).max(axis=0) + 1
    return int(left), int(top), int(right), int(bottom)


def test_a_frame_of_the_sky_is_a_fits_file_with_exact_boxes(tmp_path: Path) -> None:
    """Above 1.5 times the sky's noise, 10 counts, without the object's own noise, is the object."""
    drawn = list(sky.frames(6, 0, (*sky.OBJECTS, sky.FIELD)))
    write_dataset(tmp_path / "sky", drawn, "fits", sky.write)
    samples = load_dataset(f"csv:{tmp_path / 'sky'}").samples
    assert [sample.label for sample in samples] == ["galaxy", "star", "field"] * 2
    for sample, one in zip(samples, drawn, strict=True):
        numbers = fits.getdata(sample.source)
        np.testing.assert_array_equal(numbers, one.numbers)
        assert np.isnan(numbers).sum() > 10
        if sample.label == "field":
            assert not len(sample.boxes)
            continue
        box = bounds(one.mask)
        np.testing.assert_array_equal(sample.boxes[0], box)
        xmin, ymin, xmax, ymax = box
        inside = np.nanmean(numbers[ymin:ymax, xmin:xmax])
        assert inside > np.nanmean(numbers) > sky.SKY


def test_a_radiograph_has_12_bits_in_16_and_the_box_of_its_defect(tmp_path: Path) -> None:
    drawn = list(welds.radiographs(4, 0, (*welds.DEFECTS, welds.SOUND)))
    write_dataset(tmp_path / "welds", drawn, "tif", welds.write)
    samples = load_dataset(f"csv:{tmp_path / 'welds'}").samples
    assert [len(sample.boxes) for sample in samples] == [1, 1, 1, 0]
    for sample, one in zip(samples, drawn, strict=True):
        numbers = tifffile.imread(sample.source)
        assert numbers.dtype == np.uint16
        assert 0 < numbers.min() < numbers.max() <= welds.HIGHEST
        np.testing.assert_array_equal(numbers, one.numbers)
        if len(sample.boxes):
            np.testing.assert_array_equal(sample.boxes[0], bounds(one.mask))


@pytest.mark.slow
@pytest.mark.parametrize(("script", "suffix"), [(sky, "fits"), (welds, "tif")])
def test_a_domain_runs_from_labels_to_exports(
    script: object,
    suffix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = ["--train", "16", "--test", "24", "--size", "32", "--epochs", "1"]
    monkeypatch.setattr(sys, "argv", ["script", "--out", str(tmp_path / "out"), *few])
    script.main()  # type: ignore[attr-defined]
    printed = capsys.readouterr().out
    chosen, scored = printed.rpartition("chosen on the first half")[2].split("scored on the second")
    for run in RUNS:
        assert f"| {code(run)} |" in chosen
    for row in ("`auto`", "`center(0.8)`", "`whole`"):
        assert f"| {row} |" in scored
    assert chosen.split("| `")[1].partition(" |")[0] in scored  # the best is what is scored
    made = tmp_path / "out" / "boxes"
    assert (made / "coco.json").exists()
    with (made / "boxes.csv").open(encoding="utf-8", newline="") as stream:
        images = {row["image"] for row in csv.DictReader(stream)}
    assert len(list((made / "pictures").iterdir())) == 12
    assert images <= {f"{i:04}.{suffix}" for i in range(24)}


def test_the_page_names_each_script() -> None:
    text = PAGE.read_text("utf-8")
    for name in ("sky", "welds", "blood_cells"):
        assert f"python benchmarks/{name}.py --out" in text
