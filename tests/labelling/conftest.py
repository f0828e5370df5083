"""Scenes, located and exported once for all programs."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from PIL import Image

import gradbox
from gradbox.localization import Localization

COUNT = 6

_SCRATCH = TemporaryDirectory(prefix="gradbox-labelling-", ignore_cleanup_errors=True)
os.environ.update(  # before the programs are imported
    {
        "FIFTYONE_DATABASE_DIR": f"{_SCRATCH.name}/fiftyone",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "YOLO_CONFIG_DIR": f"{_SCRATCH.name}/yolo",
        "YOLO_OFFLINE": "true",
    }
)


@dataclass(frozen=True, eq=False)
class Located:
    """A run over scenes with masks, and its folder with every export; `images` lie beside it."""

    out: Path
    images: Path
    samples: Sequence[gradbox.Sample]
    found: Sequence[Localization]


@pytest.fixture(scope="session")
def located(tmp_path_factory: pytest.TempPathFactory) -> Located:
    """What `gradbox locate --masks --format ...` leaves of some scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    out, images = folder / "out", folder / "images"
    images.mkdir()
    scenes = gradbox.load_dataset(f"scenes:{COUNT}").samples
    for sample in scenes:
        assert callable(sample.source)
        Image.fromarray(sample.source()).save(images / sample.image_id)
    samples = [
        gradbox.Sample(
            image_id=one.image_id,
            source=images / one.image_id,
            boxes=one.boxes,
            labels=one.labels,
        )
        for one in scenes
    ]
    running = gradbox.Running(
        masks=True, formats=("coco", "coco_polygons", "cvat", "openimages", "voc", "yolo")
    )
    network = gradbox.load_classifier("gradbox/scenes", device="cpu")
    gradbox.locate(samples, network, out, method="sensitivity", running=running)
    lines = gradbox.read_predictions(out / "predictions.jsonl", masks=True)
    found = [one for _, one in lines if isinstance(one, Localization)]
    assert len(found) == COUNT
    return Located(out, images, samples, found)
