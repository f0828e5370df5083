"""DAM's union as a mask, beside the true box filled and the best threshold on the sensitivity map.

On images with true masks. The best threshold is chosen for each image by looking at its truth: an
upper bound of what the map holds, not a method.

    python benchmarks/masks.py csv:$GRADBOX_ASSETS/data/caltech101 \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --limit 300
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gradbox.bootstrap import interval
from gradbox.boxes import bounding, centered
from gradbox.datasets import limit, load
from gradbox.localization import Localization, Sample
from gradbox.mask_scoring import load_mask
from gradbox.masks import filled_box, mask_iou, oracle_iou
from gradbox.models import load_classifier
from gradbox.pipeline import localize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dam", default="dam")
    parser.add_argument("--limit", type=int, default=300)
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    masked = [s for s in load(options.dataset).samples if s.mask is not None]
    samples: Sequence[Sample] = limit(masked, min(options.limit, len(masked)), 0)
    sources = [sample.source for sample in samples]
    dam = localize(sources, classifier, method=options.dam, details=True)
    maps = localize(sources, classifier, details=True)
    rows: dict[str, list[float]] = {}
    for sample, by_dam, by_map in zip(samples, dam, maps, strict=True):
        assert isinstance(by_dam, Localization)
        assert isinstance(by_map, Localization)
        assert sample.mask is not None
        assert by_map.heatmap is not None
        truth = load_mask(sample.mask)
        frame = classifier.preprocessing.frame(by_map.size)
        heatmap = frame.map_to_original(by_map.heatmap)
        smooth = cv2.GaussianBlur(heatmap, (0, 0), 0.04 * max(by_map.size))
        union = by_dam.mask if by_dam.mask is not None else np.zeros_like(truth)
        for name, iou in {
            "true box, filled": mask_iou(filled_box(bounding(truth), by_map.size), truth),
            f"{options.dam}: union": mask_iou(union, truth),
            f"{options.dam}: box, filled": mask_iou(
                filled_box(by_dam.boxes[0], by_map.size), truth
            ),
            "sensitivity | mass: box, filled": mask_iou(
                filled_box(by_map.boxes[0], by_map.size), truth
            ),
            "sensitivity: best threshold of each map (oracle)": oracle_iou(heatmap, truth),
            "the same, smoothed by 4 % of the side (oracle)": oracle_iou(smooth, truth),
            "center(0.8), filled": mask_iou(
                filled_box(centered(*by_map.size, (0.8, 0.8)), by_map.size), truth
            ),
            "center(0.65), filled": mask_iou(
                filled_box(centered(*by_map.size, (0.65, 0.65)), by_map.size), truth
            ),
        }.items():
            rows.setdefault(name, []).append(iou)
    print(f"{Path(options.model).stem}, the recognized class, {len(samples)} images\n")
    print("| mask | mean IoU | 95 % interval |")
    print("|---|---|---|")
    for name, values in rows.items():
        spread = interval(np.array(values))
        print(f"| {name} | {spread.mean:.3f} | {spread.low:.3f} to {spread.high:.3f} |")


if __name__ == "__main__":
    main()
