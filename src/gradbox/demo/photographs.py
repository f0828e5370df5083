"""Photographs under free terms, from installed packages, through the built-in classifier."""

from dataclasses import dataclass, replace
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from gradbox.localization import RGB, Sample
from gradbox.models.load import load_classifier
from gradbox.pipeline import locate
from gradbox.reports.drawing import contact_sheet, picture_file, save_picture
from gradbox.runs.execution import Report, Running


@dataclass(frozen=True)
class Photograph:
    """A photograph in an installed package, its terms, and the box of its object.

    The boxes (xmin, ymin, xmax, ymax), exclusive, were drawn by hand: on the photograph under a
    grid of 50 pixels, each edge where the object ends, then the box drawn and looked at.
    """

    package: str
    path: str
    terms: str
    box: tuple[int, int, int, int] | None = None

    @property
    def is_here(self) -> bool:
        """Whether its package is installed."""
        return find_spec(self.package) is not None

    @property
    def sample(self) -> Sample:
        """The file, named without its folder."""
        file = Path(str(resources.files(self.package) / self.path))
        return Sample(image_id=file.name, source=file)


PHOTOGRAPHS = (
    # All that shows of the cat; cup with saucer; the tower down to the trees; the large blossom.
    Photograph("skimage", "data/chelsea.png", "Stéfan van der Walt, CC0", box=(0, 0, 393, 300)),
    Photograph("skimage", "data/coffee.png", "Rachel Michetti, CC0", box=(77, 17, 480, 389)),
    Photograph(
        "sklearn",
        "datasets/images/china.jpg",
        "danielbuechele on Flickr, CC BY 2.0",
        box=(64, 29, 373, 396),
    ),
    Photograph(
        "sklearn",
        "datasets/images/flower.jpg",
        "vultilion on Flickr, CC BY 2.0",
        box=(168, 85, 446, 360),
    ),
    Photograph("skimage", "data/rocket.jpg", "SpaceX, public domain", box=(302, 126, 337, 409)),
    Photograph("skimage", "data/retina.jpg", "Mikael Häggström, CC0"),
    Photograph("skimage", "data/astronaut.png", "NASA, public domain"),
)
"""scikit-image's come with the extra `demo`; scikit-learn is always there."""

NAMED = ("astronaut.png", "space shuttle")
"""A class that is asked for by name: it is not the recognized one, but it is in the picture."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What was located, what was asked for by name, and the contact sheet of both."""

    recognized: Report
    named: Report | None
    sheet: Path


def show_photographs(out: Path, running: Running) -> Shown:
    """Locate in all photographs that are here, draw them on `out`/photographs.jpg.

    Raises:
        UsageError: the built-in classifier is not installed.
    """
    classifier = load_classifier()
    here = {p.sample.image_id: p for p in PHOTOGRAPHS if p.is_here}
    samples = [photograph.sample for photograph in here.values()]
    drawing = replace(running, pictures=True)
    recognized = locate(samples, classifier, out / "photographs", running=drawing)
    pictures = [
        (f"{name} ({photograph.terms})", _picture(recognized, name))
        for name, photograph in here.items()
    ]
    name, label = NAMED
    named = None
    if name in here:
        asked = [here[name].sample]
        named = locate(asked, classifier, out / "named", labels=[label], running=drawing)
        pictures.append((f"{name}, --label '{label}'", _picture(named, name)))
    sheet = out / "photographs.jpg"
    save_picture(sheet, contact_sheet(pictures))
    return Shown(recognized=recognized, named=named, sheet=sheet)


def _picture(report: Report, image_id: str) -> RGB:
    with Image.open(picture_file(report.folder / "pictures", image_id)) as image:
        return np.asarray(image)
