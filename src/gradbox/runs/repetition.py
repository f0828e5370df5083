"""A run held against its repetition: whether the same was found, and what was not as before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from gradbox.errors import ImageError
from gradbox.localization import Found
from gradbox.results.facts import RUN
from gradbox.results.finished import Seen, read_run, run_facts

_PIXELS, _SHARE = 0.01, 1e-4  # what another number of threads may change


@dataclass(frozen=True)
class Repetition:
    """How many images two runs have, those in which they found something else, and why it may be.

    Boxes are the same to a hundredth of a pixel, scores to a ten-thousandth.
    """

    n_images: int
    different: list[str]
    changed: list[str]


def repetitions(before: Path, after: Path) -> dict[str, Repetition]:
    """A run, or each run of a comparison by its folder, against its repetition.

    Raises:
        UsageError: a run is not there, not finished or damaged.
    """
    if run_facts(before)["call"].get("command") != "compare":
        return {before.name: _held(before, after)}
    names = sorted(one.parent.name for one in before.glob(f"*/{RUN}"))
    return {name: _held(before / name, after / name) for name in names}


def _held(before: Path, after: Path) -> Repetition:
    n_images, different = 0, []
    for was, now in zip_longest(read_run(before), read_run(after)):
        n_images += 1
        if not _is_same(was, now):
            different.append((was or now).image_id)
    return Repetition(n_images, different, list(_changed(run_facts(before), run_facts(after))))


def _is_same(was: Seen | None, now: Seen | None) -> bool:
    if was is None or now is None or was.image_id != now.image_id:
        return False
    return _is_same_found(was.found, now.found)


def _is_same_found(was: Found, now: Found) -> bool:
    if isinstance(was, ImageError) or isinstance(now, ImageError):
        return str(was) == str(now)
    return (
        was.labels == now.labels
        and np.allclose(was.boxes, now.boxes, rtol=0, atol=_PIXELS)
        and np.allclose(was.scores, now.scores, rtol=0, atol=_SHARE)
        and np.allclose(was.label_scores, now.label_scores, rtol=0, atol=_SHARE)
    )


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """What of the call, the images and the versions is not as it was, in words."""
    if before.get("images_sha256") != after.get("images_sha256"):
        yield "the images are others"
    for part in ("call", "versions"):
        was, now = before.get(part, {}), after.get(part, {})
        for name in (name for name in {**was, **now} if was.get(name) != now.get(name)):
            yield f"{name} was {was.get(name)}, is now {now.get(name)}"
