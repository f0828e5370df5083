"""What boxes gain from a longer training, a larger input and label smoothing, beside the class.

    python benchmarks/training_for_boxes.py --out DIR

`gradbox/small` learns the image labels of the same drawn scenes in each row, which differs from
the first in one thing; the class and the boxes are scored on scenes of another seed, for the
recognized class. One training a row: other seeds differ by some points, too.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tables import code, percent

from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.datasets.scenes import write
from gradbox.models.load import load_classifier
from gradbox.pipeline import evaluate
from gradbox.runs.comparison import compare
from gradbox.runs.execution import Running
from gradbox.training.records import TrainingOptions
from gradbox.training.train import train

BASE = TrainingOptions(size=64, epochs=8, validation=0.1, patience=100, dtype="bfloat16")
ROWS: Mapping[str, TrainingOptions] = {
    "8 epochs, input of 64": BASE,
    "16 epochs": replace(BASE, epochs=16),
    "input of 96": replace(BASE, size=96),
    "label smoothing 0.1": replace(BASE, label_smoothing=0.1),
}
METHODS = ("sensitivity", "dam")


def row(name: str, options: TrainingOptions, drawn: Path, scored: str, out: Path) -> str:
    report = train(f"csv:{drawn}", out=out / "model", options=options, track=track)
    classifier = load_classifier(str(report.card))
    dataset, running = load_dataset(scored), Running(track=track)
    runs = [f"{method} | mass" for method in METHODS]
    job = compare(dataset, [classifier], out / "boxes", runs=runs, running=running)
    table = json.loads((job.folder / "compare.json").read_text("utf-8"))
    found: dict[str, Any] = {run["run"]: run for run in table["runs"]}
    named = evaluate(dataset, classifier, out / "named", method="sensitivity").metrics
    assert named is not None
    cells = [name, percent(named["top1_accuracy"])]
    for run in runs:
        low, high = map(percent, found[run]["corloc_interval"])
        cells.append(f"{percent(found[run]['corloc'])} ({low} to {high})")
    return f"| {' | '.join(cells)} | {report.seconds:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--learning", type=int, default=4000, help="scenes to learn from")
    parser.add_argument("--scenes", type=int, default=200, help="scenes to score")
    options = parser.parse_args()
    drawn, side = options.out / "drawn", max(one.size or 0 for one in ROWS.values())
    if not drawn.exists():
        write(drawn, options.learning, seed=1, size=(side, side))
    scored = f"scenes:{options.scenes},seed=78,size={side}"
    named = ", ".join(f"CorLoc % of {code(f'{method} | mass')}" for method in METHODS)
    print(f"| training | class % | {named.replace(', CorLoc', ' | CorLoc')} | s |")
    print(f"|---|---|{'---|' * len(METHODS)}---|")
    for number, (name, one) in enumerate(ROWS.items()):
        folder = options.out / f"row{number}"
        print(row(name, one, drawn, scored, folder), flush=True)


if __name__ == "__main__":
    main()
