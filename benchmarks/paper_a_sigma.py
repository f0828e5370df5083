"""Paper A, Table 2: the box without training, for three widths of the smoothing.

The paper, on VOC 2007 test with VGG16: 20 % of the pixels of the attention map (maximum over
channels), sigma 10, 20, 30: CorLoc 27.2, 38.4, 32.5 %.

    python benchmarks/paper_a_sigma.py voc:DIR@2007/test --model torchvision/vgg16 --out runs/sigma
    python benchmarks/paper_a_sigma.py csv:$GRADBOX_ASSETS/data/imagenet_dev \
        --model $GRADBOX_ASSETS/models/bvlc_googlenet.toml --out runs/sigma

No class and no box is used, nothing is fitted. The mean over classes counts an image once for each
class that it shows, as Table 1 does.
"""

import argparse
from pathlib import Path
from statistics import mean

from papers import found_in, score, show, span, units_of
from tables import percent

from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.models.load import load_classifier
from gradbox.runs.comparison import compare
from gradbox.runs.execution import Running

MAPS = "sensitivity(target=layer_mean, reduce=max)"
PAPER = {
    "top_fraction(0.2, sigma=10)": "27.2",
    "top_fraction(0.2, sigma=20)": "38.4",
    "top_fraction(0.2, sigma=30)": "32.5",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = load_dataset(options.dataset)
    runs = {f"{MAPS} | {box}": box for box in PAPER}
    report = compare(
        dataset,
        [load_classifier(options.model)],
        options.out,
        runs=list(runs),
        running=Running(track=track),
    )
    assert report.metrics is not None
    rows = {row["run"]: row for row in report.metrics["runs"]}
    found = found_in(report)
    samples = list(dataset.samples)
    of_classes = [units_of(samples, [name]) for name in dataset.class_names]

    def class_mean(run: str) -> float:
        scores = (score(units, found[run], "none", str).summary() for units in of_classes if units)
        return mean(one["corloc"] for one in scores)

    print(f"{Path(options.model).stem}, {MAPS}, {report.n_images} images of {dataset.spec}\n")
    header = ("box", "supervision", "CorLoc %", "95 % interval", "mean over classes %")
    show(
        (*header, "mean IoU", "the paper"),
        [
            *(
                (
                    f"`{box}`",
                    rows[run]["supervision"],
                    percent(rows[run]["corloc"]),
                    span(rows[run]),
                    percent(class_mean(run)),
                    f"{rows[run]['mean_iou']:.4f}",
                    PAPER[box],
                )
                for run, box in runs.items()
            ),
            *(
                (
                    f"`{name}`{' (oracle)' if row['oracle'] else ''}",
                    "constant box",
                    percent(row["corloc"]),
                    span(row),
                    "",
                    f"{row['mean_iou']:.4f}",
                    "",
                )
                for name, row in report.metrics["baselines"].items()
            ),
        ],
    )


if __name__ == "__main__":
    main()
