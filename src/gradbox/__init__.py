"""Boxes without box labels: any image classifier, your images, boxes and an honest score.

Start with `load_classifier` and `localize`.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradbox.classifier import Classifier
    from gradbox.comparison import compare
    from gradbox.datasets import load as load_dataset
    from gradbox.errors import ImageError, UsageError
    from gradbox.estimators import Mass, TopFraction
    from gradbox.execution import Running
    from gradbox.geometry import Frame
    from gradbox.gradients import Outputs, input_gradient
    from gradbox.localization import Batch, Localization, Localizer, Region, Sample, Selection
    from gradbox.mapstore import open_maps
    from gradbox.metrics import Scores, Unit
    from gradbox.models import load_classifier
    from gradbox.pipeline import evaluate, fit, localize, locate
    from gradbox.preprocessing import Preprocessing
    from gradbox.regressor import Regressor
    from gradbox.results import read_predictions
    from gradbox.sensitivity import Sensitivity
    from gradbox.trial import Part

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
    "Classifier": "classifier",
    "Frame": "geometry",
    "ImageError": "errors",
    "Localization": "localization",
    "Localizer": "localization",
    "Mass": "estimators",
    "Outputs": "gradients",
    "Part": "trial",
    "Preprocessing": "preprocessing",
    "Region": "localization",
    "Regressor": "regressor",
    "Running": "execution",
    "Sample": "localization",
    "Scores": "metrics",
    "Selection": "localization",
    "Sensitivity": "sensitivity",
    "TopFraction": "estimators",
    "Unit": "metrics",
    "UsageError": "errors",
    "compare": "comparison",
    "evaluate": "pipeline",
    "fit": "pipeline",
    "input_gradient": "gradients",
    "load_classifier": "models",
    "load_dataset": "datasets",
    "localize": "pipeline",
    "locate": "pipeline",
    "open_maps": "mapstore",
    "read_predictions": "results",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import gradbox` needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'gradbox' has no attribute {name!r}")
    home = import_module(f"gradbox.{_HOMES[name]}")
    return getattr(home, "load" if name == "load_dataset" else name)
