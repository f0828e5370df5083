"""The input that a processor's file says, beside what the processor of transformers makes."""

from pathlib import Path
from typing import Any

import hub
import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from gradbox.models.huggingface_processor import preprocessing_of

SQUARE = {"height": 32, "width": 32}
CROPPED = {"crop_size": SQUARE}
PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "squashed": ("ViT", {"size": {"height": 24, "width": 32}}),
    "cropped": ("DeiT", {"size": {"height": 40, "width": 40}, **CROPPED}),
    "shortest edge": ("Bit", {"size": {"shortest_edge": 40}, **CROPPED}),
    "share of a crop": ("ConvNext", {"size": {"shortest_edge": 28}, "crop_pct": 0.875}),
    "no crop": ("ConvNext", {"size": {"shortest_edge": 384}}),
    "offset": (
        "EfficientNet",
        {"size": SQUARE, "rescale_factor": 1 / 127.5, "rescale_offset": True},
    ),
    "divided twice": ("EfficientNet", {"size": SQUARE}),
    "blue first": ("MobileViT", {"size": {"shortest_edge": 36}, **CROPPED}),
    "not rescaled": ("ViT", {"size": SQUARE, "do_rescale": False}),
    "not normalized": ("ViT", {"size": SQUARE, "do_normalize": False}),
}
"""The kind of a processor, and its options."""


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_input_is_what_the_processor_makes(tmp_path: Path, name: str):
    """Of a square photograph, to two grey levels: the filters of two libraries differ."""
    kind, options = PROCESSORS[name]
    processor = getattr(transformers, f"{kind}ImageProcessor")(**options)
    processor.save_pretrained(tmp_path)
    ours = preprocessing_of("net", tmp_path, 3)
    image = hub.photograph(96)
    (expected,) = processor(Image.fromarray(image), return_tensors="np")["pixel_values"]
    pixels, _ = ours.resized(image)
    made = ours.normalize(torch.from_numpy(pixels)[None], torch.float32)[0].numpy()
    assert made.shape == expected.shape
    level = ours.scale / 255 / min(ours.std)
    inner = np.s_[:, 2:-2, 2:-2]
    assert np.abs(made - expected)[inner].mean() < 0.5 * level
    assert np.abs(made - expected)[inner].max() < 8 * level
