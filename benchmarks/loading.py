"""Images a second from files to boxes, against the ceiling of decoder and model on shared cores.

Expected on a CPU: at least 90 % of 1 / (1/D + 1/M) on JPEGs of 12 megapixels and 97 % on small
ones, D and M being the rates of decoding alone and of the model alone, each with all cores; a peak
of memory at most 1 GB above that of small files; and, where JPEGs are decoded at reduced size, the
share of images whose box moves by more than a pixel of the input.

    python benchmarks/loading.py $GRADBOX_ASSETS/data/{raccoon,imagenet_dev_originals}

The photographs, the largest first, are enlarged to 4000 x 3000 pixels, and made 500 x 375, in a
temporary folder. D, M and the whole are timed in turn, and each share of the ceiling is that of its
own round. The peaks are those of a process each. On a machine where others work, `--clock
processor` counts the processor's seconds of all threads instead: what waiting and spinning waste
shows in them, cores that stand idle do not.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
from PIL import Image

from gradbox.images.batches import Loaded, load_batches, to_batch
from gradbox.images.find import find_images
from gradbox.localization import Localization, Sample
from gradbox.methods import ReadyMethod, ready
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier

SIZES = {"12 megapixels": (4000, 3000), "small": (500, 375)}
CLOCKS = {"wall": perf_counter, "processor": process_time}
PEAK = """
import sys
from pathlib import Path
import gradbox
from gradbox.images.find import find_images
model, method, folder = sys.argv[1:]
classifier = gradbox.load_classifier(model, device="cpu")
for _ in gradbox.localize(find_images([Path(folder)]), classifier, method=method):
    pass
status = Path("/proc/self/status").read_text()  # getrusage also counts who started this process
print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def write(photographs: Sequence[Path], folder: Path) -> dict[str, list[Sample]]:
    """The photographs at each of the sizes."""
    for name, size in SIZES.items():
        (folder / name).mkdir()
        for i, path in enumerate(photographs):
            with Image.open(path) as image:
                turned = size if image.width >= image.height else size[::-1]
                resized = image.convert("RGB").resize(turned, Image.Resampling.LANCZOS)
            resized.save(folder / name / f"{i:03}.jpg", quality=90)
    return {name: find_images([folder / name]) for name in SIZES}


def largest(folders: Sequence[Path], count: int) -> list[Path]:
    def side(path: Path) -> int:
        with Image.open(path) as image:
            return min(image.size)

    return sorted((sample.source for sample in find_images(folders)), key=side)[-count:]


def localize(classifier: Classifier, method: ReadyMethod, group: Sequence[Loaded]) -> list:
    selection = classifier.usual_selection(method.class_from)
    return list(method.localizer.localize(to_batch(group, selection=selection)))


def rates(
    classifier: Classifier,
    method: ReadyMethod,
    samples: Sequence[Sample],
    batch: int,
    workers: int,
    now: Callable[[], float],
) -> tuple[float, float, float]:
    """Images a second of decoding, of the model and of both together."""
    load = partial(
        load_batches,
        samples,
        classifier.preprocessing,
        batch_size=batch,
        workers=workers,
        keep_originals=method.needs_originals,
    )
    (first, *_) = load()
    started = now()
    for _ in load():
        pass
    decoded = now()
    for start in range(0, len(samples), batch):
        localize(classifier, method, first[: len(samples) - start])
    alone = now()
    for group in load():
        localize(classifier, method, group)
    together = now()
    times = (decoded - started, alone - decoded, together - alone)
    decoding, model, both = (len(samples) / took for took in times)
    return decoding, model, both


def moves(classifier: Classifier, method: ReadyMethod, samples: Sequence[Sample]) -> list[float]:
    """By how many pixels of the input the main box of each image moves where JPEGs are reduced."""

    def boxes(reduced: bool) -> list[np.ndarray]:
        seen = replace(classifier.preprocessing, reduced=reduced)
        found = []
        for group in load_batches(samples, seen, batch_size=8):
            for one, result in zip(group, localize(classifier, method, group), strict=True):
                assert isinstance(result, Localization)
                found.append(one.frame.to_input(result.boxes[:1]))
        return found

    pairs = zip(boxes(False), boxes(True), strict=True)
    return [float(np.abs(before - after).max()) for before, after in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--batch", type=int, nargs="+", default=[16])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=5, help="0 for memory and boxes alone")
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    classifier = load_classifier(options.model, device="cpu")
    seen = replace(classifier.preprocessing, reduced=True)
    ways = {"whole": classifier, "reduced": replace(classifier, preprocessing=seen)}
    method = ready(options.method, "auto", classifier)
    with TemporaryDirectory() as folder:
        files = write(largest(options.folders, options.count), Path(folder))
        print("| JPEGs | decoded | batch | workers | D | M | together | of the ceiling |")
        print("|---|---|---|---|---|---|---|---|")
        for name, way, batch, workers in product(files, ways, options.batch, options.workers):
            if (name, way) == ("small", "reduced") or not options.rounds:
                continue  # none is large enough
            timed = [
                rates(ways[way], method, files[name], batch, workers, CLOCKS[options.clock])
                for _ in range(options.rounds)
            ]
            share = median(both * (1 / d + 1 / m) for d, m, both in timed)
            shown = " | ".join(f"{median(column):.1f}" for column in zip(*timed, strict=True))
            print(f"| {name} | {way} | {batch} | {workers} | {shown} | {share:.2f} |", flush=True)
        for name in files:
            words = [options.model, options.method, str(Path(folder) / name)]
            peak = subprocess.check_output([sys.executable, "-c", PEAK, *words], text=True)
            print(f"peak of a run over {name}: {peak.strip()} MB", flush=True)
        moved = moves(classifier, method, files["12 megapixels"])
        share = sum(one > 1 for one in moved) / len(moved)
        print(
            f"boxes of reduced JPEGs: {share:.0%} move by more than 1 pixel of the input, ", end=""
        )
        print(f"median {median(moved):.2f}, most {max(moved):.1f}")


if __name__ == "__main__":
    main()
