"""From heat maps to boxes: rules without training, and learned ones."""

from gradbox.estimators.estimator import BoxEstimator
from gradbox.estimators.learned import Ridge, Sgd
from gradbox.estimators.objects import Objects
from gradbox.estimators.untrained import Center, Mass, Threshold, TopFraction, Whole
from gradbox.registry import Registry

__all__ = ["ESTIMATORS", "BoxEstimator"]

ESTIMATORS: Registry[type] = Registry(
    "gradbox.estimators",
    {
        "top_fraction": TopFraction,
        "threshold": Threshold,
        "mass": Mass,
        "objects": Objects,
        "center": Center,
        "whole": Whole,
        "ridge": Ridge,
        "sgd": Sgd,
    },
)
