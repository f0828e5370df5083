"""Damaged images, cards, weights and regressors: one clear error, or a result."""

import io
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutations import damaged
from PIL import Image

import gradbox
from gradbox.datasets import load_dataset
from gradbox.errors import ImageError, UsageError
from gradbox.images.decode import load_rgb
from gradbox.models.load import load_classifier
from gradbox.models.weights import read_weights

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
MODES = ("RGB", "L", "RGBA", "P", "I;16", "CMYK", "1")


def encoded(name: str, mode: str) -> bytes | None:
    """A small picture in this format and mode, None where the format has no such mode."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 31, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    stream = io.BytesIO()
    try:
        (image if mode == "I;16" else image.convert(mode)).save(stream, name)
    except (OSError, ValueError, KeyError):
        return None
    return stream.getvalue()


def test_images(tally: Any, rng: random.Random, scale: float, tmp_path: Path) -> None:
    for name in FORMATS:
        found = tally(f"image {name}")
        seeds = [data for mode in MODES if (data := encoded(name, mode))]
        for i in range(round(100 * scale)):
            path = tmp_path / "image"
            path.write_bytes(damaged(rng.choice(seeds), rng))
            with found.one(f"{name} {i}"):
                try:
                    rgb = load_rgb(path)
                except ImageError as error:
                    assert len(str(error).splitlines()) == 1
                else:
                    assert rgb.dtype == np.uint8
                    assert rgb.shape[2] == 3


def test_cards_weights_and_regressors(
    tally: Any,
    rng: random.Random,
    scale: float,
    card: Path,
    network: gradbox.Classifier,
    tmp_path: Path,
) -> None:
    box = tmp_path / "box.safetensors"
    scenes = load_dataset("scenes:12,size=48")
    gradbox.fit(scenes, network, box, box="ridge(grid=4, folds=2)")
    weights = Path(gradbox.__file__).parent / "models/data/scenes_small"
    kinds = {
        "card": (card, lambda path: load_classifier(str(path), device="cpu")),
        "weights": (next(weights.glob("*.safetensors")), read_weights),
        "regressor": (box, gradbox.Regressor.load),
    }
    for kind, (source, load) in kinds.items():
        found, content = tally(kind), source.read_bytes()
        for i in range(round(60 * scale)):
            path = source.with_name(f"damaged{source.suffix}")
            path.write_bytes(damaged(content, rng))
            with found.one(f"{kind} {i}"):
                try:
                    load(path)  # type: ignore[operator]
                except UsageError as error:
                    assert "\n" not in str(error).strip()
            os.unlink(path)
