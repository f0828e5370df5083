"""DAM's union as a mask, beside the true box filled and the best threshold on the sensitivity map.

On images with true masks. The best threshold is chosen for each image by looking at its truth: an
upper bound of what the map holds, not a method.

    python benchmarks/masks.py csv:$GRADBOX_ASSETS/data/caltech101 \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --limit 400
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from gradbox.boxes import bounding, centered
from gradbox.datasets import limit, load_dataset
from gradbox.errors import ImageError
from gradbox.geometry import filled_box
from gradbox.localization import Found, Sample
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.pipeline import localize
from gradbox.scores.bootstrap import interval
from gradbox.scores.masks import mask_iou, oracle_iou
from gradbox.scores.run_masks import load_mask

SMOOTHING = 0.04


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--dam", default="dam")
    parser.add_argument("--limit", type=int, default=400)
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    masked = [s for s in load_dataset(options.dataset).samples if s.mask is not None]
    samples: Sequence[Sample] = limit(masked, min(options.limit, len(masked)), 0)
    sources = [sample.source for sample in samples]
    by_dam = localize(sources, classifier, method=options.dam, details=True)
    by_map = localize(sources, classifier, method="sensitivity", details=True)
    rows: dict[str, list[float]] = {}
    for sample, *found in zip(samples, by_dam, by_map, strict=True):
        for name, iou in ious(sample, found, classifier, options.dam).items():
            rows.setdefault(name, []).append(iou)
    count = max(map(len, rows.values()), default=0)
    print(f"{Path(options.model).stem}, the recognized class, {count} images\n")
    print("| mask | mean IoU % | 95 % interval |")
    print("|---|---|---|")
    for name, values in sorted(rows.items(), key=lambda row: -np.mean(row[1])):
        spread = interval(np.array(values))
        low, high = f"{100 * spread.low:.1f}", f"{100 * spread.high:.1f}"
        print(f"| {name} | {100 * spread.mean:.1f} | {low} to {high} |")


def ious(
    sample: Sample, found: Sequence[Found], classifier: Classifier, name: str
) -> dict[str, float]:
    """Each mask of one image against its true one, 0 for what DAM left out.

    None at all where the image could not be used.
    """
    dam, by_map = found
    if isinstance(dam, ImageError) or isinstance(by_map, ImageError):
        return {}
    assert sample.mask is not None
    assert by_map.heatmap is not None
    truth, size = load_mask(sample.mask), by_map.size
    heatmap = classifier.preprocessing.frame(size).map_to_original(by_map.heatmap)
    smooth = cv2.GaussianBlur(heatmap, (0, 0), SMOOTHING * max(size))
    boxes = {
        "true box, filled (oracle)": bounding(truth),
        "`sensitivity`, `mass`: box, filled": by_map.boxes[0],
        "`center(0.8)`, filled": centered(*size, (0.8, 0.8)),
        "`center(0.65)`, filled": centered(*size, (0.65, 0.65)),
        **{f"`{name}`: box, filled": box for box in dam.boxes[:1]},
    }
    return {
        f"`{name}`: box, filled": 0.0,
        f"`{name}`: union of the regions": 0.0 if dam.mask is None else mask_iou(dam.mask, truth),
        "sensitivity map, its best threshold (oracle)": oracle_iou(heatmap, truth),
        "sensitivity map smoothed by 4 % of the side, its best threshold (oracle)": oracle_iou(
            smooth, truth
        ),
        **{name: mask_iou(filled_box(box, size), truth) for name, box in boxes.items()},
    }


if __name__ == "__main__":
    main()
