"""What tiles gain where objects are small: with and without, on drawn scenes and on blood cells.

    python benchmarks/tiles.py scenes --limit 40 --tile 160
    python benchmarks/tiles.py bccd --limit 40 --tile 240
    python benchmarks/tiles.py picture scene.jpg --tile 160

The scenes are of 2,048 x 2,048 pixels with one to four things of 64 pixels, at native resolution
in front of clutter that may be larger; the classifier is the small one of scenes, asked for the
class of the image. The cells (`bccd` in $GRADBOX_ASSETS) are no class of ImageNet: the default
classifier and its recognized class, and all boxes count.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gradbox import boxes as bx
from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.datasets.dataset import Dataset
from gradbox.datasets.scenes import CLASSES
from gradbox.errors import ImageError
from gradbox.localization import RGB, ClassFrom, Sample
from gradbox.models.load import SCENES, load_classifier
from gradbox.pipeline import localize
from gradbox.reports.drawing import picture as drawing
from gradbox.reports.drawing import save_picture
from gradbox.runs.comparison import compare
from gradbox.runs.evaluation import Part
from gradbox.runs.execution import Running
from gradbox.scenes.composition import Item, Plan, alphas, compose, masks, picture

SIDE, THING, MOST = 2048, 64, 4
RUNS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "scenes": (("gradcam", "threshold(0.4)"), ("auto(foreground=false)", None)),
    "bccd": (("auto", None),),
}


def scene(index: int) -> Plan:
    """A scene of the generator whose things are made small and put elsewhere, apart."""
    rng = np.random.default_rng(index)
    plan = compose(rng, CLASSES[index % len(CLASSES)], (SIDE, SIDE), MOST)
    placed: list[Item] = []
    for item in plan.objects:
        tries = (_moved(rng, item) for _ in range(1000))
        placed.append(next(one for one in tries if all(_apart(one, other) for other in placed)))
    return replace(plan, objects=tuple(placed), foreground=())


def _moved(rng: np.random.Generator, item: Item) -> Item:
    box = item.box()
    scale = THING / SIDE / (box[2:] - box[:2]).max()
    corner = rng.uniform(0.02, 0.98 - scale * (box[2:] - box[:2]))
    shift = scale * (item.place[:, 2] - box[:2]) + corner
    return replace(item, place=np.column_stack([scale * item.place[:, :2], shift]))


def _apart(one: Item, other: Item) -> bool:
    return not bx.iou(one.box()[None], other.box()[None]).any()


def _image(index: int) -> RGB:
    plan = scene(index)
    return picture(plan, alphas(plan, (SIDE, SIDE)))


def sample(index: int) -> Sample:
    plan = scene(index)
    seen = masks(plan, alphas(plan, (SIDE, SIDE)))
    return Sample(
        image_id=f"scene_{index:04}.png",
        source=partial(_image, index),
        boxes=np.stack([bx.bounding(mask) for mask in seen]),
        labels=plan.labels,
        label=plan.labels[0],
        size=(SIDE, SIDE),
    )


def scenes(count: int) -> Dataset:
    samples = [sample(index) for index in range(count)]
    return Dataset(spec="small scenes", samples=samples, class_names=CLASSES, root=Path())


def table(
    data: Dataset,
    model: str | None,
    runs: Sequence[tuple[str, str | None]],
    tiles: Sequence[int],
    class_from: ClassFrom,
    part: Part,
) -> None:
    """A row for each method, on the whole image and with tiles of each size."""
    classifier = load_classifier(model) if model else load_classifier()
    asked = [
        (text, box)
        for method, box in runs
        for text in (method, *(f"tiled({method}, size={size})" for size in tiles))
    ]
    with TemporaryDirectory() as out:
        report = compare(
            data,
            [classifier],
            Path(out) / "table",
            runs=asked,
            class_from=class_from,
            part=part,
            running=Running(track=track),
        )
    assert report.metrics is not None
    print("| method | AP50 % | recall % | CorLoc % | boxes an image | ms an image |")
    print("|---|---|---|---|---|---|")
    for row in report.metrics["runs"]:
        found = row["detection"]
        print(
            f"| `{row['run']}` | {100 * found['ap50']:.1f} | {100 * found['recall50']:.1f} "
            f"| {100 * row['corloc']:.1f} | {found['n_predicted_boxes'] / report.n_images:.1f} "
            f"| {1000 * row['seconds_per_image']:.0f} |"
        )


def draw(out: Path, tile: int, index: int) -> None:
    """The boxes of a scene, its truth in green."""
    one, classifier = sample(index), load_classifier(SCENES)
    assert one.label is not None
    method, box = RUNS["scenes"][0]
    (found,) = localize(
        [one],
        classifier,
        method=f"tiled({method}, size={tile})",
        box=box,
        labels=[one.label],
        details=True,
    )
    if isinstance(found, ImageError):
        raise found
    frame = classifier.preprocessing.frame((SIDE, SIDE))
    save_picture(out, drawing(_image(index), found, frame=frame, truth=one.boxes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs = parser.add_subparsers(dest="job", required=True)
    for name in RUNS:
        job = jobs.add_parser(name)
        job.add_argument("--limit", type=int, default=40)
        job.add_argument("--tile", type=int, action="append", required=True)
    job = jobs.add_parser("picture")
    job.add_argument("out", type=Path)
    job.add_argument("--tile", type=int, default=160)
    job.add_argument("--scene", type=int, default=0)
    options = parser.parse_args()
    if options.job == "picture":
        draw(options.out, options.tile, options.scene)
        return
    drawn = options.job == "scenes"
    data = Path(os.environ["GRADBOX_ASSETS"]) / "data/bccd"
    table(
        scenes(options.limit) if drawn else load_dataset(f"csv:{data}"),
        SCENES if drawn else None,
        RUNS[options.job],
        options.tile,
        "truth" if drawn else "predicted",
        Part() if drawn else Part(limit=options.limit),
    )


if __name__ == "__main__":
    main()
