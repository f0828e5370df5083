"""The main job on what is built in: fresh scenes, the shipped classifier, boxes and their score."""

from dataclasses import dataclass, replace
from pathlib import Path

from gradbox.datasets import load_dataset
from gradbox.models.load import SCENES, load_classifier
from gradbox.pipeline import evaluate
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Report, Running

SEED = 1_000_003  # far from the seeds that the classifier was trained with
N_PICTURES = 12
# Numbers chosen on scenes of other seeds (5 and 77): the default boxes are for photographs,
# whose objects are larger.
DAM = "dam(percentile=90, dilations=2, erosions=2)"
RUNS = (
    "sensitivity | mass(0.7, 0.05, sigma=6)",
    "sensitivity(target=layer_mean, reduce=max) | top_fraction(0.1, sigma=8)",
    "sensitivity | ridge(grid=14)",
    DAM,
    f"{DAM} | mass",
    f"{DAM} | ridge(features=quantiles)",
)


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What the demo made: the comparison, the folder of pictures, the real photographs if any."""

    comparison: Report
    pictures: Path
    photographs: Report | None = None


def demo(
    out: Path, *, count: int = 400, assets: Path | None = None, running: Running | None = None
) -> Demonstration:
    """Compare methods on scenes that the shipped classifier has not seen; `out` is made anew.

    Half of the `count` scenes have boxes for the runs that learn from boxes; the other half is
    scored. With `assets`, a folder with model cards and photographs, photographs are located, too.
    """
    running = replace(running or Running(), overwrite=True)
    classifier = load_classifier(SCENES)
    side = classifier.preprocessing.size[0]
    comparison = compare(
        load_dataset(f"scenes:{count},seed={SEED},size={side}"),
        [classifier],
        out,
        runs=RUNS,
        part=Part(shares=(0.5, 0.5), number=2),
        running=running,
    )
    pictures = evaluate(
        load_dataset(f"scenes:{N_PICTURES},seed={SEED + 1}"),
        classifier,
        out / "scenes",
        method=DAM,
        box="mass",
        running=_drawn(running),
    )
    return Demonstration(
        comparison=comparison,
        pictures=pictures.folder / "pictures",
        photographs=_photographs(assets, out, running) if assets else None,
    )


def _photographs(assets: Path, out: Path, running: Running) -> Report:
    return evaluate(
        load_dataset(f"csv:{assets / 'data' / 'imagenet_dev_originals'}"),
        load_classifier(str(assets / "models" / "mobilenet_edgetpu.toml")),
        out / "photographs",
        running=_drawn(running),
    )


def _drawn(running: Running) -> Running:
    return replace(running, pictures=True)
