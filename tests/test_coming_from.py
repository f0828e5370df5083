"""The page for people who come from other libraries: both sides run, and the maps are equal."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_docs import ROOT, blocks

PAGE = ROOT / "docs" / "coming-from.md"


def scaled(heatmap: np.ndarray) -> np.ndarray:
    """In 0..1, as pytorch-grad-cam gives it."""
    return (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())


@pytest.mark.slow
def test_both_sides_of_each_pair_run_and_make_the_same_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("captum")
    import cv2
    import skimage
    from PIL import Image

    source = Path(skimage.__file__).parent / "data" / "chelsea.png"
    (tmp_path / "chelsea.png").write_bytes(source.read_bytes())
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    setup, tensor, *pairs = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(setup, names)
    exec(tensor, names)
    (given,) = names["tensor"]
    seen = names["classifier"].preprocessing
    pixels, _ = seen.resized(np.asarray(names["image"]))
    mean, std = np.array(seen.mean)[:, None, None], np.array(seen.std)[:, None, None]
    np.testing.assert_allclose(given, (pixels / 255 - mean) / std, atol=0.01)  # the same input
    maps: list[tuple[np.ndarray, np.ndarray]] = []
    for theirs, ours in zip(pairs[0:6:2], pairs[1:6:2], strict=True):
        exec(theirs, names)
        exec(ours, names)
        maps.append((np.asarray(names["theirs"]).squeeze(), names["ours"].heatmap))
        assert names["ours"].labels == (281,)
        assert names["ours"].boxes.shape == (1, 4)
    for theirs, heatmap in maps:
        assert heatmap.shape == (224, 224)
        large = scaled(cv2.resize(theirs, heatmap.shape))  # of torch-cam the layer's own size
        assert np.abs(large - scaled(heatmap)).max() < 0.02
        assert np.median(np.abs(large - scaled(heatmap))) < 1e-4
    exec(pairs[6], names)
    np.testing.assert_allclose(names["detections"].xyxy, names["ours"].boxes, atol=0.01)
    assert isinstance(names["annotated"], Image.Image)
