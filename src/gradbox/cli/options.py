"""The options that commands share: what they are called, what `--help` says, what they become."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gradbox.cli.asked import asked
from gradbox.cli.console import close, say_json, track, warn
from gradbox.errors import UsageError

MethodSpec = Annotated[
    str,
    typer.Option(
        "--method",
        help="`auto`, which is good for most; for instance also `gradcam`, the papers'"
        " `'sensitivity(target=layer_mean, reduce=max)'` and `dam`, one made of others, as in"
        " `'product(sensitivity, dam)'`, or `path/file.py:Class`; see `gradbox list methods`.",
        metavar="SPEC",
    ),
]
BoxSpec = Annotated[
    str | None,
    typer.Option(
        "--box",
        help="From map to box: `auto`, which is the method's own boxes (of `auto` and `dam`), else"
        " `mass`; `objects`, `'threshold(0.2)'`, `'ridge(FILE)'`, ...; see `gradbox list boxes`.",
        metavar="SPEC",
    ),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        help="Leave out boxes with a score below X, 0 to 1, so that an image may have none; for"
        " methods whose scores are probabilities.",
        metavar="X",
    ),
]
Proposals = Annotated[
    int | None,
    typer.Option(
        "--proposals",
        help="Also keep the N best scored regions of each image, for a detector or for labelling:"
        " those of `dam`, or of the method's heat maps.",
        metavar="N",
        min=1,
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.", metavar="DIR")]
Overwrite = Annotated[bool, typer.Option(help="Replace what another call left in --out.")]
Place = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Folder for the results, also s3://BUCKET/FOLDER or gs://BUCKET/FOLDER.",
        metavar="DIR",
    ),
]
_DATASET = typer.Argument(
    help="csv:DIR (DIR/images, and DIR/boxes.csv with the columns"
    " image,width,height,class,xmin,ymin,xmax,ymax), voc:DIR@2007/test,"
    " imagenet:DIR@val|loc|folders, cub:DIR, coco:IMAGES@FILE.json, cvat:IMAGES@FILE.xml,"
    " labelstudio:IMAGES@FILE.json, yolo:DIR, folder:DIR, parquet:FILE, scenes:N or"
    " path/file.py:NAME:REST; see `gradbox list datasets`",
    metavar="DATASET",
)
DatasetText = Annotated[str, _DATASET]
DatasetTexts = Annotated[list[str], _DATASET]


def count_or_auto(text: Any) -> Any:
    """A number from 1, or auto; None where nobody says."""
    if text in (None, "auto"):
        return text
    if not (str(text).isdecimal() and int(text) > 0):
        raise typer.BadParameter(f"{text}: write a number from 1, or auto")
    return int(text)


@dataclass(frozen=True)
class DataOptions:
    """Which images of a data set are taken, and where their class comes from."""

    class_from: Annotated[
        str | None,
        typer.Option(
            help="truth (GT-known), predicted, or none (attention map; the head is not run).",
            metavar="truth|predicted|none",
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(help="Sizes of the parts of a random split, as 0.5/0.5.", metavar="A/B/..."),
    ] = None
    number: Annotated[
        int, typer.Option("--part", help="Which part of the split, from 1.", min=1)
    ] = 1
    seed: Annotated[int, typer.Option(help="Seed of the split and of --limit.")] = 0
    limit: Annotated[
        int | None, typer.Option(help="Use a random sample of this many images.", min=1)
    ] = None

    def checked_class_from(self) -> Any:
        """The value of --class-from, checked."""
        if self.class_from not in (None, "truth", "predicted", "none"):
            raise UsageError(f"--class-from {self.class_from}: use truth, predicted or none")
        return self.class_from

    def part(self) -> Any:
        """The part of --split, --part, --seed and --limit."""
        from gradbox.datasets import parse_split
        from gradbox.runs.evaluation import Part

        if self.split is None and self.number != 1:
            raise UsageError(f"--part {self.number} needs a --split, as in --split 0.5/0.5")
        shares = parse_split(self.split) if self.split else ()
        return Part(shares=shares, number=self.number, seed=self.seed, limit=self.limit)


@dataclass(frozen=True)
class ScoreOptions(DataOptions):
    """Which images are scored, and what a hit is."""

    at_least: Annotated[
        bool, typer.Option(help="Count IoU >= 0.5 as a hit; the default is > 0.5.")
    ] = False


@dataclass(frozen=True)
class RunOptions:
    """How a job runs."""

    batch_size: Annotated[
        Any,
        typer.Option(
            parser=count_or_auto,
            help="Images in one pass; auto doubles them while that pays.",
            metavar="N|auto",
        ),
    ] = 16
    workers: Annotated[
        Any,
        typer.Option(
            parser=count_or_auto,
            help="Threads that decode images; auto is one a core.",
            metavar="N|auto",
        ),
    ] = "auto"
    overwrite: Overwrite = False

    @property
    def threads(self) -> int:
        """The number of --workers."""
        from gradbox.images.batches import WORKERS

        return WORKERS if self.workers == "auto" else int(self.workers)

    def running(self, **more: Any) -> Any:
        """How to run, with a progress bar; `more` are other fields of `Running`."""
        from gradbox.runs.execution import Running

        return Running(
            batch_size=self.batch_size,
            workers=self.threads,
            overwrite=self.overwrite,
            asked=asked(),
            **{"track": track, **more},
        )


@dataclass(frozen=True)
class PictureOptions(RunOptions):
    """How a job runs that can also keep what it saw."""

    masks: Annotated[
        bool,
        typer.Option(
            "--masks",
            help="Also write the mask of the main object, made of heat map and image, or by `dam`.",
        ),
    ] = False
    pictures: Annotated[
        bool,
        typer.Option(help="Also draw each image: truth green, prediction red, the map beside."),
    ] = False
    save_maps: Annotated[
        Path | None, typer.Option(help="Also write the heat maps to this folder.", metavar="DIR")
    ] = None
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="When a run goes on: compare the hashes of all images, not only of those whose"
            " size or time has changed.",
        ),
    ] = False
    retry: Annotated[
        bool,
        typer.Option(
            "--retry",
            help="When a run goes on: try again every image that failed. What could not be read is"
            " tried again in any case.",
        ),
    ] = False
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but what went wrong.")] = False
    as_json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Say what was done as one line of JSON, and nothing else; without --out, a line"
            " for each image.",
        ),
    ] = False

    def running(self, **more: Any) -> Any:
        """How to run, with masks, pictures and maps, and whether that shows."""
        from gradbox.progress import silent

        if self.save_maps is not None:
            _check_folder("--save-maps", self.save_maps)
        return super().running(
            masks=self.masks,
            pictures=self.pictures,
            save_maps=self.save_maps,
            verify=self.verify,
            retry=self.retry,
            track=silent if self.quiet or self.as_json else track,
            **more,
        )

    def close(self, report: Any, show: Callable[[], None]) -> None:
        """Say what was done, in words by `show`, or in JSON; exit with 1 if some images failed."""
        if self.as_json:
            say_json(report)
        elif not self.quiet:
            show()
        close(report, quiet=self.quiet or self.as_json)


@dataclass(frozen=True)
class FormatOptions(PictureOptions):
    """How a job runs that can also write its boxes in other formats."""

    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="Also write csv,coco,coco_polygons,cvat,yolo,voc,labelstudio,openimages,crops,"
            "masks (with commas) or path/file.py:NAME.",
        ),
    ] = ""

    def refuse_without_folder(self) -> None:
        """Complain of an option that does nothing where there is no --out."""
        asked = {
            "--pictures": self.pictures,
            "--save-maps": self.save_maps,
            "--format": self.formats,
            "--masks": self.masks,
            "--overwrite": self.overwrite,
            "--verify": self.verify,
            "--retry": self.retry,
            "--quiet": self.quiet,
        }
        for option in (option for option, value in asked.items() if value):
            raise UsageError(f"{option} needs a folder for the results: --out DIR")

    def running(self, **more: Any) -> Any:
        """How to run, with formats, too."""
        from gradbox.runs.exporting import to_formats

        return super().running(formats=to_formats(self.formats), **more)


def _check_folder(option: str, path: Path) -> None:
    there = next((one for one in (path, *path.parents) if one.exists()), None)
    if there is not None and not there.is_dir():
        raise UsageError(f"{option} {path}: {there} is a file: give a folder")


def check_parts(method: str, box: str | None, min_score: float | None = None) -> None:
    """Refuse what is wrong with --method, --box or --min-score before a model is loaded."""
    from gradbox.methods import check_min_score, is_auto, to_estimator, to_method

    to_method(method)
    if not is_auto(box):
        estimator = to_estimator(box)
        if not estimator.is_to_fit:
            estimator.learned()
    check_min_score(min_score, method, box)


def to_dataset(text: str) -> Any:
    """The data set of a text; its oddities become warnings."""
    from gradbox.datasets import load_dataset

    dataset = load_dataset(text)
    for problem in dataset.problems:
        warn(f"{dataset.spec}: {problem}")
    return dataset
