"""Paper B on photographs with one object: mean IoU, CorLoc and center correctness.

The paper: mean IoU 0.4679, center correctness 90 % at m = 0 and 80 % at m = 0.2, on about 4,000
ImageNet images with VGG16. Here: the images of one object of a data set, beside the sensitivity map
and constant boxes on the same images. `--sweep` varies kmax, k, the layer and the blobs on a seeded
sample instead.

    python benchmarks/dam.py csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --out runs/dam
    python benchmarks/dam.py csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --out runs/sweep --sweep --limit 200 \
        --layers features.15 features.17
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from papers import show, span
from tables import code, percent

from gradbox.cli.console import track
from gradbox.dam.neurons import neuron_layer
from gradbox.datasets import load_dataset
from gradbox.models.load import load_classifier
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Running

HEADER = ("run", "mean IoU", "CorLoc %", "95 % interval", "m = 0 %", "m = 0.2 %", "s an image")
RUNS = ("dam", "sensitivity | mass", "sensitivity | center(0.8)")


def sweep(layers: Sequence[str]) -> list[str]:
    """DAM with other numbers, other neurons and other blobs, and on these layers."""
    return [
        "dam",
        *(f"dam(k={k})" for k in (1, 2, 3, 8, 10)),
        *(f"dam(kmax=30, k={k})" for k in (1, 3, 5, 10)),
        *(f'dam(layer="{name}")' for name in layers),
        *(f"dam(percentile={p})" for p in (70, 90)),
        *(f"dam(dilations={n}, erosions={n})" for n in (8, 20)),
        "dam(distinct_channels=true)",
        "dam(effect=guided)",
        "dam(rule=plain)",
        "dam(population=all)",
        "dam(overlap=0.2)",
        "dam(k=auto)",
    ]


def row(name: str, numbers: Mapping[str, Any]) -> tuple[str, ...]:
    center = numbers["center_correctness"]
    return (
        code(name),
        f"{numbers['mean_iou']:.4f}",
        percent(numbers["corloc"]),
        span(numbers),
        percent(center["0.00"]),
        percent(center["0.20"]),
        f"{numbers['seconds_per_image']:.2f}" if "seconds_per_image" in numbers else "",
    )


def by_size(name: str, sizes: Mapping[str, Any]) -> tuple[str, ...]:
    cells = (
        f"{percent(of['corloc'])} ({of['mean_iou']:.2f})" if of["n"] else ""
        for of in sizes.values()
    )
    return code(name), *cells


def of_run(folder: Path) -> dict[str, Any]:
    """What a run's folder says of its scores."""
    return json.loads((folder / "metrics.json").read_text("utf-8"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--class-from", default="truth")
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--layers", nargs="*", default=[], help="of --sweep, beside the default")
    parser.add_argument("--limit", type=int, default=None)
    options = parser.parse_args()
    dataset = load_dataset(options.dataset)
    single = replace(dataset, samples=[s for s in dataset.samples if len(s.boxes) == 1])
    classifier = load_classifier(options.model)
    report = compare(
        single,
        [classifier],
        options.out,
        runs=sweep(options.layers) if options.sweep else RUNS,
        class_from=options.class_from,
        part=Part(limit=options.limit),
        running=Running(track=track),
    )
    assert report.metrics is not None
    print(f"{Path(options.model).stem}, {report.n_images} images of one object; layer ", end="")
    print(f"{neuron_layer(classifier)}, class from {options.class_from}\n")
    runs = {one["run"]: one for one in report.metrics["runs"]}
    rows = {**runs, **report.metrics["baselines"]}
    show(HEADER, (row(name, numbers) for name, numbers in rows.items()))
    print("CorLoc % (mean IoU) by the share of the image that the object's box covers\n")
    sizes = {
        name: of_run(options.out / one["folder"])["by_object_size"] for name, one in runs.items()
    }
    first = next(iter(sizes.values()))
    show(
        ("run", *(f"{size}, {numbers['n']} images" for size, numbers in first.items())),
        (by_size(name, of) for name, of in sizes.items()),
    )


if __name__ == "__main__":
    main()
