"""What shards, processes and Ray cost beside the plain loop, and how they scale: docs/scale.md.

    python benchmarks/engines.py --counts 512 2048 --address HOST:PORT

Each row is `gradbox locate` as a command of its own, with the classifier of scenes on scenes of
64 x 64 pixels, one thread a worker. Seconds are those of the clock and of all processes that the
command started and waited for; workers of a Ray cluster are not among these. A first row with one
image is what a command costs before it does anything; it is taken off the others.
"""

import argparse
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from gradbox.datasets.scenes import write

SHARD = 256
BATCH = 16
ENGINES: dict[str, tuple[str, ...]] = {
    "lines": (),
    "shards": ("--shard", str(SHARD)),
    "2 processes": ("--shard", str(SHARD), "--processes", "2"),
}
ON_RAY = {"Ray, 1 worker": "1", "Ray, 2 workers": "2"}


def took(images: Path, words: tuple[str, ...]) -> tuple[float, float]:
    """Seconds of the clock and of the processor of one command."""
    with TemporaryDirectory() as out:
        command = [
            *(sys.executable, "-m", "gradbox.cli", "locate", str(images), "--out", f"{out}/run"),
            *("--model", "gradbox/scenes", "--method", "sensitivity", "--device", "cpu"),
            *("--batch-size", str(BATCH), "--threads", "1", "--quiet", *words),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = perf_counter()
        subprocess.run(command, check=True)
        seconds = perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--address", help="a Ray cluster with two cores for its workers")
    asked = parser.parse_args()
    engines = dict(ENGINES)
    if asked.address:
        cluster = ("--shard", str(SHARD), "--engine", "ray", "--address", asked.address)
        engines |= {name: (*cluster, "--processes", n) for name, n in ON_RAY.items()}
    print("| Engine | Images | s | of the processor | ms an image | of the processor |")
    print("|---|---|---|---|---|---|")
    with TemporaryDirectory() as name:
        write(Path(name) / "scenes", max(asked.counts), seed=0, size=(64, 64))
        drawn = sorted((Path(name) / "scenes" / "images").iterdir())
        for engine, words in engines.items():
            start = (0.0, 0.0)
            for count in (1, *asked.counts):
                images = Path(name) / f"first-{count}"
                if not images.exists():
                    images.mkdir()
                    for path in drawn[:count]:
                        shutil.copy(path, images)
                runs = [took(images, words) for _ in range(asked.repeats)]
                clock, used = (min(column) for column in zip(*runs, strict=True))
                if count == 1:
                    start = clock, used
                each = [
                    1000 * (now - then) / count
                    for now, then in zip((clock, used), start, strict=True)
                ]
                shown = "| | |" if count == 1 else f"| {each[0]:.1f} | {each[1]:.1f} |"
                print(f"| {engine} | {count:,} | {clock:.1f} | {used:.1f} {shown}", flush=True)


if __name__ == "__main__":
    main()
