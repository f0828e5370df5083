"""Memory and time of a run in shards against its number of images: docs/scale.md.

    python benchmarks/scale.py --counts 1000 10000 100000 1000000

The predictions are synthetic: the engine below writes parts of random boxes in place of a network,
and all else is what `locate`, the same call again, `export`, `evaluate` and `compare` do. The
images are names in a list without files, so listing asks the disk for each, in vain. Each step is a
process of its own; its peak is that of the whole process, PyTorch included.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np

import gradbox
from gradbox.images.listing import list_images
from gradbox.localization import Localization
from gradbox.models.load import load_classifier
from gradbox.results.finished import open_finished
from gradbox.results.predictions import to_line
from gradbox.results.sharded import open_sharded
from gradbox.runs.comparison import compare
from gradbox.runs.errands import Made, Step, Todo, Worker
from gradbox.runs.execution import Running
from gradbox.runs.exporting import export
from gradbox.runs.shards import RunTask

SHARD = 4096
SIDE = 400
METHOD = "sensitivity"


class Synthetic:
    """An engine that makes up what was found: one to three boxes an image."""

    threads = None
    usual_threads = None
    needs_shards = True

    def sized(self, classifier: gradbox.Classifier, shards: int) -> "Synthetic":
        """See `Engine`."""
        return self

    def steps(
        self, todo: Sequence[Todo], here: Worker, task: Callable[[], RunTask]
    ) -> Iterator[Step]:
        """See `Engine`."""
        runs = [open_sharded(place) for place in task().places]
        for one in todo:
            for job in one.jobs:
                listed = runs[job].listed(one.number)
                rng = np.random.default_rng((one.number, job))
                lines = [(of.input, to_line(*made_up(of.sample.image_id, rng))) for of in listed]
                runs[job].write(one.number, lines)
            yield Step(len(listed), Made(number=one.number, images=len(listed)))


def made_up(image_id: str, rng: np.random.Generator) -> tuple[str, Localization]:
    """Boxes anywhere, of any class."""
    count = int(rng.integers(1, 4))
    corners = np.sort(rng.uniform(0, SIDE, (count, 2, 2)), axis=1)
    labels = tuple(int(one) for one in rng.integers(0, 15, count))
    found = Localization(
        image_id=image_id,
        size=(SIDE, SIDE),
        boxes=corners.reshape(count, 4),
        labels=labels,
        label_scores=tuple(rng.uniform(0, 1, count).tolist()),
        scores=tuple(rng.uniform(0, 1, count).tolist()),
        names=tuple(f"class {label}" for label in labels),
    )
    return image_id, found


def running(**more: Any) -> Running:
    return Running(engine=Synthetic(), shard=SHARD, **more)


def locate(folder: Path, name: str = "images.txt") -> None:
    samples = list_images([f"list:{folder / name}"])
    classifier = load_classifier("gradbox/scenes", device="cpu")
    gradbox.locate(samples, classifier, folder / "run", method=METHOD, running=running())


def grown(folder: Path) -> None:
    locate(folder, "more.txt")


def written(folder: Path) -> None:
    export(open_finished(folder / "run"), ("jsonl", "csv", "coco"), folder / "exported")


def evaluate(folder: Path) -> None:
    classifier = load_classifier("gradbox/scenes", device="cpu")
    gradbox.evaluate(
        gradbox.load_dataset(f"parquet:{folder / 'truth.parquet'}"),
        classifier,
        folder / "scored",
        method=METHOD,
        running=running(),
    )


def compared(folder: Path) -> None:
    classifier = load_classifier("gradbox/scenes", device="cpu")
    compare(
        gradbox.load_dataset(f"parquet:{folder / 'truth.parquet'}"),
        [classifier],
        folder / "compared",
        runs=["sensitivity | mass", "sensitivity | threshold(0.3)"],
        running=running(),
    )


STEPS: dict[str, Callable[[Path], None]] = {
    "locate": locate,
    "the same call again": locate,
    "with 1,000 images more": grown,
    "export jsonl, csv, coco": written,
    "evaluate": evaluate,
    "evaluate again": evaluate,
    "compare two runs": compared,
}


def prepare(folder: Path, count: int) -> None:
    """A list of images, a longer one, and a truth for each image."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"{number // 1000:05}/{number:08}.jpg" for number in range(count + 1000)]
    (folder / "images.txt").write_text("\n".join(names[:count]) + "\n")
    (folder / "more.txt").write_text("\n".join(names) + "\n")
    classes = load_classifier("gradbox/scenes", device="cpu").class_names
    schema = None
    rng = np.random.default_rng(0)
    writer = None
    for start in range(0, count, SHARD):
        rows = []
        for name in names[start : min(start + SHARD, count)]:
            corners = np.sort(rng.uniform(0, SIDE, (1, 2, 2)), axis=1).reshape(1, 4)
            label = classes[int(rng.integers(0, len(classes)))]
            rows.append(
                {
                    "path": name,
                    "class": label,
                    "width": SIDE,
                    "height": SIDE,
                    "boxes": corners.tolist(),
                    "labels": [label],
                }
            )
        table = pa.Table.from_pylist(rows, schema=schema)
        writer = writer or pq.ParquetWriter(folder / "truth.parquet", table.schema)
        schema = table.schema
        writer.write_table(table)
    assert writer is not None
    writer.close()


def peak_mb() -> float:
    """The most that this process had in memory; `getrusage` counts that of its parent, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(peak) / 1000


def measure(step: str, folder: Path) -> dict[str, float]:
    """The seconds and the peak of a step in a process of its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--steps", nargs="+", default=list(STEPS))
    parser.add_argument("--step")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.step:
        started, used = perf_counter(), process_time()
        STEPS[asked.step](asked.folder)
        facts = {
            "seconds": perf_counter() - started,
            "processor": process_time() - used,
            "peak_mb": peak_mb(),
        }
        print(json.dumps(facts))
        return
    print("| Images | Step | s | of the processor | peak, MB |\n|---|---|---|---|---|")
    for count in asked.counts:
        with TemporaryDirectory() as name:
            prepare(Path(name), count)
            for step in asked.steps:
                took = measure(step, Path(name))
                print(
                    f"| {count:,} | {step} | {took['seconds']:.1f} | {took['processor']:.1f} | "
                    f"{took['peak_mb']:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
