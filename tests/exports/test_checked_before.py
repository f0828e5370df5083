"""Images that a format cannot hold are refused before anything is computed or written."""

from pathlib import Path

import pytest
from PIL import Image

import gradbox
from gradbox.exports import check_formats
from gradbox.images.find import find_images


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """Two images that differ in their suffix only, with boxes."""
    folder = tmp_path / "twins"
    (folder / "images").mkdir(parents=True)
    rows = ["image,width,height,class,xmin,ymin,xmax,ymax"]
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (40, 30), (200, 90, 20)).save(folder / "images" / name)
        rows.append(f"{name},40,30,disc,1,2,20,20")
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder


def run(job: str, twins: Path, card: Path, out: Path, *formats: str) -> None:
    classifier, running = gradbox.load_classifier(str(card)), gradbox.Running(formats=formats)
    dataset = gradbox.load_dataset(f"csv:{twins}")
    if job == "locate":
        gradbox.locate(find_images([twins / "images"]), classifier, out, running=running)
    elif job == "evaluate":
        gradbox.evaluate(dataset, classifier, out, running=running)
    else:
        gradbox.compare(dataset, [classifier], out, runs=["sensitivity"], running=running)


@pytest.mark.parametrize("name", ["yolo", "voc"])
@pytest.mark.parametrize("job", ["locate", "evaluate", "compare"])
def test_two_images_with_one_file_are_refused_before_the_run(
    job: str, name: str, twins: Path, card: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(gradbox.UsageError, match=r"a\.jpg and a\.png would both have a\."):
        run(job, twins, card, out, name)
    assert not out.exists()


def test_formats_with_one_file_for_all_take_them(twins: Path, card: Path, tmp_path: Path) -> None:
    run("locate", twins, card, tmp_path / "out", "csv", "coco", "labelstudio")
    assert len((tmp_path / "out" / "boxes.csv").read_text().splitlines()) == 3


def test_an_image_whose_file_would_be_anothers_folder_is_refused() -> None:
    # b.txt/c.png needs the folder labels/b.txt, where b.png has its file.
    with pytest.raises(gradbox.UsageError, match=r"b\.png would have the file b\.txt"):
        check_formats(["yolo"], lambda: ["b.txt/c.png", "b.png"])
    check_formats(["voc"], lambda: ["b.txt/c.png", "b.png"])  # there it is b.xml
