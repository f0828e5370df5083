"""What an estimator says of the boxes that it has learned from."""

from typing import Protocol, runtime_checkable

from gradbox.estimators.estimator import BoxEstimator
from gradbox.estimators.learned import Regressor


@runtime_checkable
class FittedEstimator(BoxEstimator, Protocol):
    """An estimator that may have learned from boxes; one that has learned nothing has seen none."""

    def learned(self) -> Regressor | None:
        """What was learned, and from which boxes; a UsageError where it is to be fitted first."""
        ...

    @property
    def is_to_fit(self) -> bool:
        """Whether it is still to be learned from boxes."""
        ...


class Untrained:
    """What every estimator says that has learned from no box."""

    is_to_fit: bool = False

    def learned(self) -> None:
        """Nothing."""
