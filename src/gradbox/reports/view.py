"""A run to look through: one page of thumbnails that can be filtered, sorted and walked through."""

import base64
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradbox.errors import ImageError, UsageError
from gradbox.files import write_text
from gradbox.images.batches import WORKERS
from gradbox.images.memory import Budget
from gradbox.localization import Localization
from gradbox.progress import Track, silent
from gradbox.reports.pages import render
from gradbox.reports.thumbnails import Thumbnail, Thumbnails
from gradbox.results.finished import Seen, preprocessing_of, read_run, run_facts
from gradbox.results.heatmaps import HEADER, open_maps

MOST = 50_000
"""Images of a page: a browser holds the facts of all of them."""
EMBEDDED = 8_000_000
"""Bytes of thumbnails that stand in the page itself; more lie in a folder beside it."""
_GROUP = 64


@dataclass(frozen=True, kw_only=True)
class View:
    """The page that was written, and why images with boxes have no thumbnail, by image id.

    `files` is the folder of its thumbnails, None where the page holds them itself.
    """

    page: Path
    files: Path | None
    n_images: int
    problems: dict[str, str]


def write_view(
    run: Path,
    page: Path,
    *,
    images: Path | None = None,
    maps: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    workers: int = WORKERS,
    track: Track = silent,
) -> View:
    """Write one page of all images of a run, with a thumbnail of each and its boxes on it.

    Args:
        run: the folder of a finished run.
        page: the HTML file. Thumbnails of more than 8 MB in all lie beside it, in a folder of its
            name with `_files`.
        images: the folder of the images, where they are not any more where the run found them.
        maps: a folder of saved heat maps; by default that of the run, if it has saved them.
        limit: a random sample of this many images.
        seed: of the sample.
        workers: threads that decode images.
        track: shows the progress.

    Raises:
        UsageError: no finished run, more than 50,000 images and no `limit`, or no such maps.
    """
    facts = run_facts(run)
    seen = _sampled(read_run(run), limit, seed)
    thumbnails = Thumbnails(
        page.with_name(f"{page.stem}_files"),
        preprocessing_of(facts["call"]),
        _maps(facts, maps),
        images,
    )
    made = list(_made(seen, thumbnails, workers, track))
    names = [name for one in made for name in (one.photo, one.heatmap) if name is not None]
    sizes = sum((thumbnails.folder / name).stat().st_size for name in names)
    address = _embedded if sizes <= EMBEDDED else _beside
    records = [
        _record(one, thumbnail, thumbnails.folder, address)
        for one, thumbnail in zip(seen, made, strict=True)
    ]
    write_text(
        page,
        render(
            "view.html",
            title=run.resolve().name,
            run=_about(facts),
            records=records,
            is_calibrated=bool(facts.get("is_calibrated")),
            has_maps=thumbnails.maps is not None,
        ),
    )
    is_beside = address is _beside and bool(names)
    thumbnails.keep_only(set(names) if is_beside else set())
    return View(
        page=page,
        files=thumbnails.folder if is_beside else None,
        n_images=len(seen),
        problems={
            one.image_id: thumbnail.problem
            for one, thumbnail in zip(seen, made, strict=True)
            if thumbnail.problem is not None and isinstance(one.found, Localization)
        },
    )


def _sampled(seen: Iterable[Seen], limit: int | None, seed: int) -> list[Seen]:
    """All of them, or a random sample of so many, in their order, in one pass."""
    chance = random.Random(seed)  # noqa: S311  # a sample to look at
    kept: list[tuple[int, Seen]] = []
    for number, one in enumerate(seen):
        if limit is None and number >= MOST:
            raise UsageError(
                f"the run has more than {MOST:,} images, too many for a page: --limit 10000 takes "
                "a random sample"
            )
        if limit is None or number < limit:
            kept.append((number, one))
        elif (place := chance.randrange(number + 1)) < limit:
            kept[place] = number, one
    return [one for _, one in sorted(kept, key=lambda pair: pair[0])]


def _maps(facts: dict[str, Any], given: Path | None) -> Any:
    if given is not None:
        return open_maps(given)
    known = facts.get("maps")
    return open_maps(Path(known)) if known and Path(known, HEADER).exists() else None


def _made(
    seen: Sequence[Seen], thumbnails: Thumbnails, workers: int, track: Track
) -> Iterator[Thumbnail]:
    budget = Budget()
    with ThreadPoolExecutor(workers, thread_name_prefix="gradbox-view") as pool:
        groups = (seen[start : start + _GROUP] for start in range(0, len(seen), _GROUP))
        for group in track(groups, len(seen), "drawing"):
            shares = [budget.share() for _ in group]
            yield from pool.map(thumbnails.of, group, shares)


def _record(one: Seen, thumbnail: Thumbnail, folder: Path, address: Any) -> dict[str, Any]:
    """What the page knows of an image, under short names: there may be thousands."""
    photo, heatmap = (
        name and address(folder, name) for name in (thumbnail.photo, thumbnail.heatmap)
    )
    shown = {"id": one.image_id, "photo": photo, "map": heatmap, "why": thumbnail.problem}
    found = one.found
    if isinstance(found, ImageError):
        return {**shown, "error": str(found)}
    return {
        **shown,
        "size": found.size,
        "boxes": found.boxes.round(1).tolist(),
        "names": [name or "object" for name in found.names],
        "sure": [round(score, 3) for score in found.label_scores],
        "scores": [round(score, 3) for score in found.scores],
    }


def _embedded(folder: Path, name: str) -> str:
    return "data:image/jpeg;base64," + base64.b64encode((folder / name).read_bytes()).decode()


def _beside(folder: Path, name: str) -> str:
    return f"{folder.name}/{name}"


def _about(facts: dict[str, Any]) -> str:
    call = facts["call"]
    said = [call.get("model"), call.get("method"), call.get("box"), call.get("dataset")]
    return " · ".join(str(one) for one in said if one is not None)
