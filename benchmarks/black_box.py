"""A classifier as an ONNX file, and boxes without a gradient by the number of calls.

First the same classes from the file as from the module, then the curve: RISE's and occlusion's
boxes over the calls an image, held against the true boxes and against the gradient's box, for the
recognized class.

    python benchmarks/black_box.py csv:$GRADBOX_ASSETS/data/imagenet_dev --limit 12

Fewer calls of RISE are the first of many, so all of its rows cost one run. On a quiet
core EfficientNet-Lite0 takes 16 ms a call: 12 images with up to 1000 calls take 10 minutes.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from tables import percent
from torch import Tensor

from gradbox.attribution.gradients import input_gradient
from gradbox.attribution.heatmaps import reduce_channels
from gradbox.attribution.occlusion import Occlusion
from gradbox.attribution.perturbation import Masks, Perturbation, PerturbationMaps, Watch
from gradbox.attribution.rise import Rise
from gradbox.attribution.targets import class_target
from gradbox.boxes import iou
from gradbox.datasets import limit, load_dataset
from gradbox.estimators import ESTIMATORS
from gradbox.geometry import Frame
from gradbox.images.decode import load_rgb
from gradbox.localization import Sample
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.specs import build

GRADIENT = "`sensitivity`"
BOXES = ("mass", "top_fraction(0.2, sigma=10)")


Heatmaps = Mapping[str, tuple[np.ndarray, float]]
"""The map (h, w) of each method, and the seconds that it took."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--same", type=int, default=60, help="images for the comparison of classes")
    parser.add_argument("--limit", type=int, default=12, help="images for the curve")
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 250, 500, 1000])
    options = parser.parse_args()
    module = load_classifier(options.model, device="cpu", memory_format="contiguous")
    boxed = [sample for sample in load_dataset(options.dataset).samples if len(sample.boxes)]
    with tempfile.TemporaryDirectory() as folder:
        file = as_onnx(module, Path(folder))
        compare_classes(module, file, limit(boxed, min(options.same, len(boxed)), 0))
        curve(module, file, limit(boxed, min(options.limit, len(boxed)), 0), options.calls)


def as_onnx(classifier: Classifier, folder: Path) -> Classifier:
    """The classifier exported, and loaded again from the file by a model card."""
    seen = classifier.preprocessing
    image = torch.zeros(2, 3, *seen.size)
    torch.onnx.export(
        classifier.module,
        (image,),
        str(folder / "net.onnx"),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("images")},),
        verbose=False,
    )
    (folder / "card.toml").write_text(
        f'[model]\narchitecture = "net.onnx"\noutputs = "logits"\n[input]\nsize = {[*seen.size]}\n'
        f'interpolation = "{seen.interpolation}"\nmean = {[*seen.mean]}\nstd = {[*seen.std]}\n'
    )
    return load_classifier(str(folder / "card.toml"), device="cpu")


def compare_classes(module: Classifier, file: Classifier, samples: Sequence[Sample]) -> None:
    same, largest = 0, 0.0
    for sample in samples:
        image, _ = load(module, sample)
        with torch.no_grad():
            ours, theirs = module.module(image), file.module(image)
        same += int(ours.argmax() == theirs.argmax())
        largest = max(largest, float((ours - theirs).abs().max()))
    print(f"{len(samples)} images: the same class for {same}, largest difference {largest:.1e}\n")


def curve(
    module: Classifier, file: Classifier, samples: Sequence[Sample], budgets: Sequence[int]
) -> None:
    rows: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for sample in samples:
        image, frame = load(module, sample)
        made = heatmaps(module, file, image, budgets)
        for text in BOXES:
            (by_gradient,) = build(text, ESTIMATORS).estimate(made[GRADIENT][0][None], [frame])
            for name, (heatmap, seconds) in made.items():
                (found,) = build(text, ESTIMATORS).estimate(heatmap[None], [frame])
                true, same = (
                    float(iou(found.boxes[:1], boxes).max())
                    for boxes in (sample.boxes, by_gradient.boxes[:1])
                )
                rows.setdefault((name, text), []).append((true, same, seconds))
    print(f"{len(samples)} images, the recognized class\n")
    print("| method | box | CorLoc % | mean IoU | IoU with the gradient's box | s/image |")
    print("|---|---|---|---|---|---|")
    for (name, text), found in sorted(rows.items(), key=lambda row: BOXES.index(row[0][1])):
        ious, with_gradient, seconds = np.array(found).T
        cells = [percent((ious >= 0.5).mean()), f"{ious.mean():.3f}", f"{with_gradient.mean():.3f}"]
        print(f"| {name} | `{text}` | {' | '.join(cells)} | {seconds.mean():.2f} |")


def heatmaps(
    module: Classifier, file: Classifier, image: Tensor, budgets: Sequence[int]
) -> Heatmaps:
    """The gradient's map from the module; RISE's and occlusion's from the file, by their calls."""
    with torch.no_grad():
        label = int(module.module(image).argmax())
    started = perf_counter()
    attribution = input_gradient(module, image, class_target((label,)))
    made = {GRADIENT: (reduce_channels(attribution)[0].numpy(), perf_counter() - started)}
    for calls in budgets:
        occlusion = Occlusion(calls=calls)
        watch = PerturbationMaps(occlusion, file).watch(image[0], [label])
        made[f"`occlusion(calls={calls})`"] = timed(occlusion, file, watch)
    rise = Rise(calls=max(budgets))
    watch = PerturbationMaps(rise, file).watch(image[0], [label])
    started = perf_counter()
    values = torch.cat([watch(masks) for masks in rise.masks(file.preprocessing.size)])
    each = (perf_counter() - started) / max(budgets)
    for calls in budgets:
        heatmap, _ = timed(Rise(calls=calls), file, replay(values))
        made[f"`rise(calls={calls})`"] = heatmap, each * calls
    return made


def timed(options: Perturbation, file: Classifier, watch: Watch) -> tuple[np.ndarray, float]:
    started = perf_counter()
    (heatmap,) = options.map_of(file.preprocessing.size, watch).clamp(min=0).numpy()
    return heatmap, perf_counter() - started


def replay(values: Tensor) -> Watch:
    """What was seen under the first masks, once more: the same numbers without a call."""
    start = 0

    def watch(masks: Masks) -> Tensor:
        nonlocal start
        start += len(masks)
        return values[start - len(masks) : start]

    return watch


def load(classifier: Classifier, sample: Sample) -> tuple[Tensor, Frame]:
    pixels, frame = classifier.preprocessing.resized(load_rgb(sample.source))
    return classifier.normalize(torch.from_numpy(pixels)[None]), frame


if __name__ == "__main__":
    main()
