"""Every picture of README and docs, made anew from what is installed: `make pictures`.

Or some of them: `python docs/pictures.py web`.
"""

import sys
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

import gradbox
from gradbox.demo.photographs import PHOTOGRAPHS, show_photographs
from gradbox.demo.scenes import DAM, SEED
from gradbox.images.decode import load_rgb
from gradbox.models.load import SCENES, load_classifier
from gradbox.reports.drawing import contact_sheet, picture, save_picture
from gradbox.runs.map_sheet import map_sheet

IMAGES = Path(__file__).parent / "images"
WIDTH = 1400


def photographs() -> None:
    """The contact sheet of the demo."""
    with TemporaryDirectory() as folder, Image.open(_sheet(Path(folder))) as sheet:
        height = round(sheet.height * WIDTH / sheet.width)
        small = sheet.resize((WIDTH, height), Image.Resampling.LANCZOS)
        save_picture(IMAGES / "photographs.jpg", np.asarray(small))


def _sheet(folder: Path) -> Path:
    return show_photographs(folder, gradbox.Running()).sheet


def scenes() -> None:
    """The first scenes that the demo draws, truth green, without their regions."""
    classifier = load_classifier(SCENES)
    samples = gradbox.load_dataset(f"scenes:4,seed={SEED + 1}").samples
    results = gradbox.localize(samples, classifier, method=DAM, box="mass", details=True)
    drawn = []
    for sample, found in zip(samples, results, strict=True):
        assert isinstance(found, gradbox.Localization)
        rgb, frame = load_rgb(sample.source), classifier.preprocessing.frame(found.size)
        shown = replace(found, regions=())
        drawn.append((sample.label or "", picture(rgb, shown, frame=frame, truth=sample.boxes)))
    save_picture(IMAGES / "scenes.jpg", contact_sheet(drawn))


def maps() -> None:
    """The cat under every map."""
    sheet = map_sheet(PHOTOGRAPHS[0].sample.source, load_classifier(), side=200)
    save_picture(IMAGES / "maps.jpg", sheet)


def web() -> None:
    """The page of `gradbox web` in Chromium: a cup under two methods, a slider moved."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from web_page import chromium, until
    from web_page import web as served

    cup = Path(PHOTOGRAPHS[1].sample.source)
    with (
        TemporaryDirectory() as folder,
        served(Path(folder)) as (address, _),
        chromium(address) as page,
    ):
        page.hand((cup.name, cup.read_bytes()))
        until(lambda: page.source("#left img"))
        page.choose("#left .box", "objects")
        share = until(lambda: page.all("#left input[type=range]"))[0]
        before = page.source("#left img")
        page.slide(share, 0.7)
        until(lambda: page.source("#left img") != before)
        page.choose("#right .method", "gradcam")
        until(lambda: page.source("#right img"))
        time.sleep(2)  # colours of buttons fade
        with Image.open(BytesIO(page.driver.get_screenshot_as_png())) as shot:
            save_picture(IMAGES / "web.jpg", np.asarray(shot.convert("RGB")))


ALL = (photographs, scenes, maps, web)

if __name__ == "__main__":
    asked = sys.argv[1:]
    for draw in ALL:
        if not asked or draw.__name__ in asked:
            draw()
