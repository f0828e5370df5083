"""Fresh scenes through the shipped classifier: methods compared, with and without boxes."""

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
FULL = (
    "sensitivity | mass(0.7, 0.05, sigma=6)",
    "sensitivity(target=layer_mean, reduce=max) | top_fraction(0.1, sigma=8)",
    "sensitivity | ridge(grid=14)",
    DAM,
    f"{DAM} | mass",
    f"{DAM} | ridge(features=quantiles)",
)
RUNS = (FULL[0], f"{DAM} | mass", f"{DAM} | ridge(features=quantiles)")
COUNT, FULL_COUNT = 120, 400
"""How many scenes; half of them are scored."""


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """The comparison, and the folder of pictures."""

    comparison: Report
    pictures: Path


def show_scenes(out: Path, running: Running, *, count: int = COUNT, full: bool) -> Demonstration:
    """Compare methods on scenes that the shipped classifier has not seen.

    Half of the `count` scenes have boxes for the runs that learn from boxes; the other half is
    scored. `full` runs more methods.
    """
    classifier = load_classifier(SCENES)
    side = classifier.preprocessing.size[0]
    comparison = compare(
        load_dataset(f"scenes:{count},seed={SEED},size={side}"),
        [classifier],
        out,
        runs=FULL if full else RUNS,
        part=Part(shares=(0.5, 0.5), number=2),
        running=running,
    )
    pictures = evaluate(
        load_dataset(f"scenes:{N_PICTURES},seed={SEED + 1}"),
        classifier,
        out / "scenes",
        method=DAM,
        box="mass",
        running=replace(running, pictures=True),
    )
    return Demonstration(comparison=comparison, pictures=pictures.folder / "pictures")
