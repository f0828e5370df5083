"""How long `gradbox web` takes to show a first look, and to redraw when a slider is moved.

    python benchmarks/web.py [--model SPEC] [--method SPEC]

One photograph of scikit-image (extra `demo`), or a larger copy of it, without the browser: from
the file or the slider to the piece of HTML that the page shows.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2

from gradbox.demo.photographs import PHOTOGRAPHS
from gradbox.images.decode import load_rgb
from gradbox.models.load import load_classifier
from gradbox.web.answers import found_html
from gradbox.web.explorer import Explorer, Opened
from gradbox.web.sliders import box_at, sliders_of

MOVES = 21


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what came of it."""
    started = time.perf_counter()
    made = job()
    return 1000 * (time.perf_counter() - started), made


def shown(page: Explorer, opened: Opened, method: str, box: Any, *, mask: bool = False) -> str:
    return found_html(opened, page.locate(opened, method, box, mask=mask), {})


def redraws(page: Explorer, opened: Opened, method: str, box: str, *, mask: bool) -> float:
    """The median of moves of the first slider of a box from one end to the other."""
    (first, _), *others = sliders_of(box)
    spent = []
    for move in range(MOVES):
        value = first.low + (first.high - first.low) * move / (MOVES - 1)
        at = box_at(box, [value, *(usual for _, usual in others)])
        spent.append(timed(partial(shown, page, opened, method, at, mask=mask))[0])
    return statistics.median(spent)


def rows(model: str, method: str) -> Sequence[tuple[str, str, float]]:
    page = Explorer.of(load_classifier(model), {method: method})
    rgb = load_rgb(PHOTOGRAPHS[0].sample.source)
    found = []
    for scale in (1, 10):
        image = cv2.resize(rgb, None, fx=scale, fy=scale)
        opening = [timed(partial(page.open, image, "a.png")) for _ in range(4)][1:]
        size = f"{image.shape[1]} x {image.shape[0]}"
        found.append((size, "opened, its class recognized", min(one for one, _ in opening)))
        looks = [timed(partial(shown, page, one, method, None))[0] for _, one in opening]
        found.append((size, "first look", min(looks)))
        opened = opening[0][1]
        for box in ("mass", "objects"):
            for mask in (False, True):
                what = f"a slider of `{box}` moved{', with the mask' if mask else ''}"
                found.append((size, what, redraws(page, opened, method, box, mask=mask)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--method", default="auto")
    options = parser.parse_args()
    print("| Image | What | ms |\n|---|---|---|")
    for size, what, spent in rows(options.model, options.method):
        print(f"| {size} | {what} | {spent:.0f} |")


if __name__ == "__main__":
    main()
