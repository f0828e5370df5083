"""What estimators give, in the form that most tests compare."""

from collections.abc import Sequence

import numpy as np

from gradbox.estimators.estimator import ScoredBoxes


def stacked(found: Sequence[ScoredBoxes]) -> tuple[np.ndarray, np.ndarray]:
    """All boxes (n, 4) and their scores (n,), map by map."""
    return np.concatenate([f.boxes for f in found]), np.concatenate([f.scores for f in found])
