"""`gradbox view` in Chromium: how long until pictures show, until a filter has acted, how large.

`python benchmarks/view.py --images 10000`: copies of generated scenes, with boxes drawn by chance;
needs selenium, chromium and chromedriver.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from gradbox.cli.console import track
from gradbox.datasets import load_dataset
from gradbox.errors import ImageError
from gradbox.localization import Found, Localization, Sample
from gradbox.reports.view import write_view
from gradbox.results.finished import read_run
from gradbox.results.inputs import Input
from gradbox.results.opening import open_run
from gradbox.results.predictions import to_line

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browser import browser

SIZE = (480, 640)
PREPROCESSING = (
    "Preprocessing(size=(224, 224), resize='squash', interpolation='bilinear', color='RGB', "
    "scale=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))"
)
LOADED = "return performance.getEntriesByType('navigation')[0].loadEventEnd"
FILTER = """
const [name, value, done] = arguments, field = controls.elements[name], start = performance.now();
field.value = value;
field.dispatchEvent(new Event("input", {bubbles: true}));
requestAnimationFrame(() => setTimeout(() => done([performance.now() - start, shown.length])));
"""
SCROLL = """
const done = arguments[0], gaps = [];
let last = performance.now(), y = 0;
function step() {
  const now = performance.now();
  gaps.push(now - last);
  last = now;
  y += 5000;
  scrollTo(0, y);
  if (y < document.body.scrollHeight) requestAnimationFrame(step);
  else done([gaps.length, gaps.sort((a, b) => a - b)[Math.floor(gaps.length / 2)], gaps.at(-1)]);
}
requestAnimationFrame(step);
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--screenshot", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = made_run(folder, asked.images)
        started = perf_counter()
        view = write_view(run, run / "view.html", track=track)
        first = perf_counter() - started
        started = perf_counter()
        write_view(run, run / "view.html")
        print(f"written in {first:.1f} s, again in {perf_counter() - started:.1f} s")
        print(f"page: {view.page.stat().st_size / 1e6:.2f} MB")
        if view.files is not None:
            sizes = [one.stat().st_size for one in view.files.iterdir()]
            print(f"thumbnails: {len(sizes)} files, {sum(sizes) / 1e6:.0f} MB")
        with browser() as window:
            for _ in range(3):
                window.get(view.page.as_uri())
                print(f"all pictures of the first window: {window.execute_script(LOADED):.0f} ms")
            for field, value in (
                ("name", "class 3"),
                ("name", ""),
                ("kind", "failed"),
                ("kind", ""),
                ("low", "0.9"),
                ("low", "0"),
                ("order", "low"),
                ("text", "0042"),
                ("text", ""),
            ):
                took, count = window.execute_async_script(FILTER, field, value)
                print(f"{field} = {value or 'all'}: {took:.0f} ms, {count} images")
            count, middle, slowest = window.execute_async_script(SCROLL)
            print(f"scrolled in {count} frames: median {middle:.0f} ms, slowest {slowest:.0f} ms")
            memory = window.execute_script("return performance.memory.usedJSHeapSize")
            nodes = window.execute_script("return document.querySelectorAll('*').length")
            print(f"heap {memory / 1e6:.0f} MB, {nodes} elements")
            if asked.screenshot:
                window.save_screenshot(str(asked.screenshot))


def made_run(folder: Path, count: int) -> Path:
    """A finished run over so many images, one in a hundred of which failed."""
    originals = [folder / f"scene{i}.jpg" for i in range(40)]
    for file, sample in zip(originals, load_dataset("scenes:40").samples, strict=False):
        pixels = Image.fromarray(np.asarray(sample.source()))
        pixels.resize(SIZE[::-1]).save(file, quality=90)
    images = folder / "images"
    images.mkdir()
    samples = []
    for i in range(count):
        path = images / f"{i:06}.jpg"
        shutil.copy(originals[i % len(originals)], path)
        samples.append(Sample(image_id=path.name, source=path))
    run = folder / "run"
    with open_run(
        run, {"command": "locate", "preprocessing": PREPROCESSING}, {}, overwrite=False
    ) as one:
        one.check(
            samples, {s.image_id: Input.now(s, None) for s in samples}, verify=False, retry=False
        )
        lines = [
            (Input.now(s, None), to_line(s.image_id, found(s, i))) for i, s in enumerate(samples)
        ]
        one.append(lines)
        one.finish()
    assert sum(1 for _ in read_run(run)) == count
    return run


def found(sample: Sample, seed: int) -> Found:
    chance = np.random.default_rng(seed)
    if seed % 100 == 99:
        return ImageError("the image is broken: it ends too early")
    count = int(chance.choice([1, 1, 1, 2, 3]))
    corners = [(chance.uniform(0, 300), chance.uniform(0, 200)) for _ in range(count)]
    boxes = [[x, y, x + chance.uniform(50, 300), y + chance.uniform(50, 250)] for x, y in corners]
    labels = [int(chance.integers(50)) for _ in range(count)]
    return Localization(
        image_id=sample.image_id,
        size=SIZE,
        boxes=np.array(boxes),
        labels=tuple(labels),
        label_scores=tuple(chance.random() for _ in labels),
        scores=tuple(chance.random() for _ in labels),
        names=tuple(f"class {label}" for label in labels),
    )


if __name__ == "__main__":
    main()
