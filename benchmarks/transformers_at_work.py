"""A small transformer and a CNN on generated scenes: commands to train them, one to compare.

    gradbox train scenes:8000,seed=1,size=64 --arch benchmarks/conv_vit.py:vit --size 64 \
        --epochs 14 --validation 0.05 --lr 0.002 --dtype bfloat16 --out DIR/vit
    gradbox train scenes:6000,seed=2,size=64 --init DIR/vit/model.toml \
        --epochs 6 --validation 0.05 --lr 0.0015 --dtype bfloat16 --out DIR/vit2
    gradbox train scenes:8000,seed=3,size=64 --init DIR/vit2/model.toml \
        --epochs 8 --validation 0.05 --lr 0.002 --dtype bfloat16 --out DIR/vit3
    python benchmarks/transformers_at_work.py DIR/vit3/model.toml gradbox/scenes --out DIR/boxes

Both learn from image labels alone and start at random. Their maps are scored on scenes that neither
has seen, of another seed, for the recognized class, with the boxes of `mass` beside the constant
ones.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tables import code, percent

from gradbox.attribution.layers import spatial_layers
from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate
from gradbox.runs.comparison import compare
from gradbox.runs.execution import Running

SCENES = "scenes:{},seed=78,size={}"
MAPS = (
    "sensitivity",
    "sensitivity(target=layer_mean, reduce=max)",
    "gradient_x_input",
    "gradcam",
    "hirescam",
    "gradcam_pp",
    "xgradcam",
    "layercam",
    "eigencam",
    "rollout",
    "product(sensitivity, gradcam)",
)


def boxes(classifier: Classifier, data: str, out: Path) -> dict[str, Any]:
    """What `compare.json` says of all maps that this network has."""
    has_tokens = any(len(layer.shape) == 2 for layer in spatial_layers(classifier))
    runs = [f"{text} | mass" for text in MAPS if has_tokens or text != "rollout"]
    running = Running(track=track)
    job = compare(load_dataset(data), [classifier], out, runs=runs, running=running)
    return json.loads((job.folder / "compare.json").read_text("utf-8"))


def accuracy(classifier: Classifier, data: str, out: Path) -> float:
    found = evaluate(load_dataset(data), classifier, out, method="gradcam").metrics
    assert found is not None
    return float(found["top1_accuracy"])


def show(models: Sequence[str], count: int, out: Path) -> None:
    print("| network | names | map | CorLoc % | 95 % interval | mean IoU |")
    print("|---|---|---|---|---|---|")
    for model in models:
        classifier = load_classifier(model)
        name = Path(model).parent.name if model.endswith(".toml") else model
        data = SCENES.format(count, classifier.preprocessing.size[0])
        named = f"{percent(accuracy(classifier, data, out / name / 'named'))} %"
        table = boxes(classifier, data, out / name / "boxes")
        rows = [(code(run["run"].removesuffix(" | mass")), run) for run in table["runs"]]
        rows += [(code(text), row) for text, row in table["baselines"].items()]
        for text, row in rows:
            low, high = map(percent, row["corloc_interval"])
            cells = (name, named, text, percent(row["corloc"]), f"{low} to {high}")
            print(f"| {' | '.join(cells)} | {row['mean_iou']:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=200)
    options = parser.parse_args()
    show(options.models, options.scenes, options.out)


if __name__ == "__main__":
    main()
