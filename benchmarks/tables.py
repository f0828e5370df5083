"""A Markdown table of evaluation folders: one row a run, the constant boxes below.

    gradbox evaluate csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml --class-from truth --out runs/a
    python benchmarks/tables.py runs/a runs/b

The runs must have scored the same images, or the rows cannot be compared; that is checked.
"""

import argparse
import json
from pathlib import Path
from typing import Any


def percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"


def code(run: str) -> str:
    """The name of a run in a table, where a bar would end the cell."""
    return f"`{run.replace(' | ', '`, `')}`"


def row(name: str, numbers: dict[str, Any]) -> str:
    low, high = numbers["corloc_interval"]
    center = numbers["center_correctness"]
    cells = (
        name,
        percent(numbers["corloc"]),
        f"{percent(low)} to {percent(high)}",
        f"{numbers['mean_iou']:.4f}",
        percent(center["0.00"]),
        percent(center["0.20"]),
        percent(numbers.get("top1_localization")),
        percent(numbers.get("top5_localization")),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    options = parser.parse_args()
    runs = [(json.loads((p / "run.json").read_text()), p) for p in options.runs]
    if len({run["images_sha256"] for run, _ in runs}) > 1:
        raise SystemExit("the runs have scored different images")
    print(
        "| model, method, box | CorLoc % | 95 % interval | mean IoU | centre in box % "
        "| m = 0.2 % | Top-1 loc % | Top-5 loc % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    metrics: dict[str, Any] = {}
    for run, path in runs:
        metrics = json.loads((path / "metrics.json").read_text())
        call = run["call"]
        parts = (Path(call["model"]).stem, call["method"], call["box"])
        print(row(", ".join(f"`{part}`" for part in parts if part), metrics))
    for name, numbers in metrics["baselines"].items():
        print(row(f"`{name}`{' (oracle)' if numbers['oracle'] else ''}", numbers))


if __name__ == "__main__":
    main()
