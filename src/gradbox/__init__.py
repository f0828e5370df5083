"""Boxes without box labels: any image classifier, your images, boxes and an honest score.

Start with `load_classifier` and `localize`.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradbox.attribution.gradients import Outputs, input_gradient
    from gradbox.attribution.sensitivity import Sensitivity
    from gradbox.datasets import load as load_dataset
    from gradbox.errors import ImageError, UsageError
    from gradbox.estimators.learned import Regressor
    from gradbox.estimators.untrained import Mass, TopFraction
    from gradbox.geometry import Frame
    from gradbox.images.preprocessing import Preprocessing
    from gradbox.localization import Batch, Localization, Localizer, Region, Sample, Selection
    from gradbox.models.classifier import Classifier
    from gradbox.models.load import load_classifier
    from gradbox.pipeline import evaluate, fit, localize, locate
    from gradbox.results.heatmaps import open_maps
    from gradbox.results.run_folder import read_predictions
    from gradbox.runs.comparison import compare
    from gradbox.runs.evaluation import Part
    from gradbox.runs.execution import Running
    from gradbox.scores.boxes import Scores, Unit

__all__ = [
    "Batch",
    "Classifier",
    "Frame",
    "ImageError",
    "Localization",
    "Localizer",
    "Mass",
    "Outputs",
    "Part",
    "Preprocessing",
    "Region",
    "Regressor",
    "Running",
    "Sample",
    "Scores",
    "Selection",
    "Sensitivity",
    "TopFraction",
    "Unit",
    "UsageError",
    "compare",
    "evaluate",
    "fit",
    "input_gradient",
    "load_classifier",
    "load_dataset",
    "localize",
    "locate",
    "open_maps",
    "read_predictions",
]

__version__ = version("gradbox")

_HOMES = {
    "Batch": "localization",
    "Classifier": "models.classifier",
    "Frame": "geometry",
    "ImageError": "errors",
    "Localization": "localization",
    "Localizer": "localization",
    "Mass": "estimators.untrained",
    "Outputs": "attribution.gradients",
    "Part": "runs.evaluation",
    "Preprocessing": "images.preprocessing",
    "Region": "localization",
    "Regressor": "estimators.learned",
    "Running": "runs.execution",
    "Sample": "localization",
    "Scores": "scores.boxes",
    "Selection": "localization",
    "Sensitivity": "attribution.sensitivity",
    "TopFraction": "estimators.untrained",
    "Unit": "scores.boxes",
    "UsageError": "errors",
    "compare": "runs.comparison",
    "evaluate": "pipeline",
    "fit": "pipeline",
    "input_gradient": "attribution.gradients",
    "load_classifier": "models.load",
    "load_dataset": "datasets",
    "localize": "pipeline",
    "locate": "pipeline",
    "open_maps": "results.heatmaps",
    "read_predictions": "results.run_folder",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import gradbox` needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gradbox' has no attribute {name!r}")
    home = import_module(f"gradbox.{_HOMES[name]}")
    return getattr(home, "load" if name == "load_dataset" else name)
