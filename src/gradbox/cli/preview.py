"""What `gradbox locate` shows without --out: a row for each box, and pictures for a look."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import mkdtemp

import typer

from gradbox.cli.console import complain, hint, say, warn_untrusted
from gradbox.errors import ImageError
from gradbox.images.decode import decode
from gradbox.images.pixels import readable
from gradbox.localization import Found, Localization, Sample
from gradbox.models.classifier import Classifier
from gradbox.reports.drawing import picture, picture_file, save_picture
from gradbox.results.predictions import to_line
from gradbox.runs.execution import untrusted

_CLASS = 24


def preview(
    samples: Sequence[Sample],
    results: Iterable[Found],
    classifier: Classifier,
    *,
    drawn: bool,
    as_json: bool,
    is_calibrated: bool,
) -> None:
    """Print what was found as it comes; exit with 1 if some images failed.

    `drawn` puts a picture of each image into a new temporary folder, which needs details; `as_json`
    prints a line of `predictions.jsonl` for each; `is_calibrated` scores are probabilities, and a
    last line counts the images where they are low.
    """
    folder = Path(mkdtemp(prefix="gradbox-")) if drawn else None
    show = _show_line if as_json else table([sample.image_id for sample in samples])
    n_failed = n_untrusted = 0
    for sample, found in zip(samples, results, strict=True):
        show(sample.image_id, found)
        if isinstance(found, ImageError):
            n_failed += 1
            continue
        n_untrusted += untrusted(found.scores)
        if folder is not None:
            _draw(picture_file(folder, sample.image_id), sample, found, classifier)
    if folder is not None:
        one = picture_file(folder, samples[0].image_id)
        hint(f"pictures: {folder}" if len(samples) > 1 else f"picture: {one}")
    if len(samples) > 1:
        hint("nothing is kept: --out DIR keeps the boxes, and pictures, maps and other formats")
    if is_calibrated:
        warn_untrusted(n_untrusted, len(samples) - n_failed)
    if n_failed:
        raise typer.Exit(1)


def table(image_ids: Sequence[str]) -> Callable[[str, Found], None]:
    """Print the head of a table for these images; the function prints the rows of one of them."""
    width = max(map(len, ["image", *image_ids]))
    say(f"{'image':{width}}  {'class':{_CLASS}}  probability  xmin  ymin  xmax  ymax  score")

    def show(image_id: str, found: Found) -> None:
        if isinstance(found, ImageError):
            complain(f"{image_id}: {found}")
            return
        for row in _rows(found) or ["no box"]:
            say(f"{image_id:{width}}  {row}")

    return show


def _show_line(image_id: str, found: Found) -> None:
    say(json.dumps(to_line(image_id, found)))


def _rows(found: Localization) -> list[str]:
    boxes = zip(found.names, found.label_scores, found.boxes, found.scores, strict=True)
    return [
        f"{(name or 'object')[:_CLASS]:{_CLASS}}  {probability:11.2f}  "
        f"{'  '.join(f'{edge:4.0f}' for edge in box)}  {score:5.2f}"
        for name, probability, box, score in boxes
    ]


def _draw(path: Path, sample: Sample, found: Localization, classifier: Classifier) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = classifier.preprocessing
    image = decode(sample.source, channels=seen.channels, reading=seen.reading).pixels
    save_picture(path, picture(readable(image), found, frame=seen.frame(found.size)))
