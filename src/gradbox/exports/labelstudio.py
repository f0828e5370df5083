"""Tasks with predictions for Label Studio, to correct boxes and masks by hand."""

from collections.abc import Iterable
from pathlib import Path

from gradbox.exports.about import About
from gradbox.exports.classes import printable
from gradbox.exports.json_array import JsonArray
from gradbox.files import whole_file, write_text
from gradbox.labelstudio.configuration import IMAGE, Shape, parse, written
from gradbox.labelstudio.regions import Shapes, prediction
from gradbox.localization import Localization

_SHAPES: tuple[Shape, ...] = ("rectangle", "brush")
_ALL = parse(written([], _SHAPES))


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`labelstudio/tasks.json` and `labelstudio/config.xml`, the labelling configuration for it.

    A task for each image, with its boxes, and the mask of the main one where there are masks, as a
    prediction. `image` is the id of the image: give it the prefix under which Label Studio serves
    the images.
    """
    folder = out / "labelstudio"
    labels: dict[str, None] = {}
    has_masks = False
    with whole_file(folder / "tasks.json") as partial, partial.open("w", encoding="utf-8") as file:
        tasks = JsonArray(file)
        file.write("[")
        for found in localizations:
            shapes = Shapes.of(found, [printable(about.names(label)) for label in found.labels])
            labels.update(dict.fromkeys(shapes.names))
            has_masks = has_masks or bool(shapes.brush)
            made = prediction(shapes, _ALL, lambda name, _: name, about.model_version)
            tasks.append({"data": {IMAGE: found.image_id}, "predictions": [made]})
        file.write("]\n")
    write_text(folder / "config.xml", written(labels, _SHAPES if has_masks else _SHAPES[:1]))
    return folder
