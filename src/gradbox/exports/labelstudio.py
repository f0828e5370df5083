"""Tasks with predictions for Label Studio, to correct boxes by hand."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gradbox.exports.about import About
from gradbox.exports.json_array import JsonArray
from gradbox.files import whole_file
from gradbox.localization import Localization


def write(localizations: Iterable[Localization], about: About, out: Path) -> Path:
    """`labelstudio.json`: a task for each image with its boxes as predictions.

    For the template "Object Detection with Bounding Boxes", whose labels have to hold the classes.
    `image` is the id of the image: give it the prefix under which Label Studio serves the images.
    """
    path = out / "labelstudio.json"
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as stream:
        tasks = JsonArray(stream)
        stream.write("[")
        for found in localizations:
            tasks.append(_task(found, about))
        stream.write("]\n")
    return path


def _task(found: Localization, about: About) -> dict[str, Any]:
    height, width = found.size
    result = [
        {
            "id": f"box-{i + 1}",
            "type": "rectanglelabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": found.scores[i],
            "value": {
                "x": 100 * xmin / width,
                "y": 100 * ymin / height,
                "width": 100 * (xmax - xmin) / width,
                "height": 100 * (ymax - ymin) / height,
                "rotation": 0,
                "rectanglelabels": [about.names(found.labels[i])],
            },
        }
        for i, (xmin, ymin, xmax, ymax) in enumerate(found.boxes.tolist())
    ]
    prediction = {"model_version": about.model_version, "score": max(found.scores, default=0.0)}
    return {
        "data": {"image": found.image_id},
        "predictions": [{**prediction, "result": result}],
    }
