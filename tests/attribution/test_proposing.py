"""Proposals beside the boxes of any method: whose regions they are, and how many are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import networks
import numpy as np
import pytest
from fakes import FakeLocalizer, FakeMaps

from gradbox.errors import ImageError, UsageError
from gradbox.localization import Batch, Found, Localization
from gradbox.methods import ready

CLASSIFIER = networks.classifier()
TWO = ((0.0, 0.0, 0.0, 0.0), (0.0, 9.0, 0.0, 3.0), (0.0, 0.0, 0.0, 0.0))
"""A map with two bright pixels."""


def found(method: object, box: object = None, proposals: int | None = None) -> list[Localization]:
    localizer = ready(method, box, CLASSIFIER, proposals=proposals).localizer
    answers = localizer.localize(networks.batch(networks.pixels(3), [(1, 4), (2,), (5,)]))
    assert all(isinstance(one, Localization) for one in answers)
    return [one for one in answers if isinstance(one, Localization)]


def test_without_the_option_maps_propose_nothing() -> None:
    assert all(one.regions == () for one in found("sensitivity"))


def test_maps_propose_boxes_best_first_whatever_the_class_and_the_boxes_stay() -> None:
    before, after = found(FakeMaps(TWO)), found(FakeMaps(TWO), proposals=9)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        scores = [region.score for region in other.regions]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 9
        assert not any(region.chosen for region in other.regions)
    # the first image is asked for two classes, whose maps are the same
    assert [region.label for region in after[0].regions[:2]] == [1, 4]
    np.testing.assert_array_equal(after[0].regions[0].box, after[0].regions[1].box)


def test_dam_proposes_its_best_regions_with_its_own_box_or_another() -> None:
    whole = found("dam(kmax=4, k=2)")
    for box in (None, "mass"):
        some = found("dam(kmax=4, k=2)", box, proposals=3)
        for one, other in zip(whole, some, strict=True):
            best = sorted((region.score for region in one.regions), reverse=True)[:3]
            assert [region.score for region in other.regions] == best
    assert [len(one.regions) for one in found("dam(kmax=4, k=2)", "mass")] == [0, 0, 0]


def test_a_map_made_of_dams_and_another_is_not_made_of_regions() -> None:
    for text in ("product(dam, sensitivity)", "smooth(dam)", "average(dam, flips=true)"):
        for one in found(text, proposals=5):
            assert not any(region.chosen for region in one.regions)
            assert all(0 <= region.score <= 1 for region in one.regions)


@dataclass(frozen=True)
class Half:
    """Fails for the first image."""

    def maps(self, batch: Batch) -> Sequence[object]:
        made = FakeMaps(TWO).maps(batch)
        return [ImageError("the fake fails here"), *made[1:]]


def test_an_image_without_a_map_stays_failed() -> None:
    localizer = ready(Half(), None, CLASSIFIER, proposals=5).localizer
    first, *others = localizer.localize(networks.batch(networks.pixels(2)))
    assert isinstance(first, ImageError)
    assert all(isinstance(one, Localization) and len(one.regions) == 5 for one in others)


def test_a_localizer_without_maps_or_regions_is_refused_in_one_line() -> None:
    message = r"FakeLocalizer.* has neither heat maps nor regions to propose: leave the proposals"
    with pytest.raises(UsageError, match=message):
        ready(FakeLocalizer(), None, CLASSIFIER, proposals=10)
    with pytest.raises(UsageError, match="proposals=0: a number of boxes"):
        ready("sensitivity", None, CLASSIFIER, proposals=0)


@dataclass(frozen=True)
class OwnRegions:
    """A user's localizer that has dam's regions."""

    has_regions: bool

    def localize(self, batch: Batch, *, details: bool = False) -> Sequence[Found]:
        return ready("dam(kmax=4, k=2)", None, CLASSIFIER).localizer.localize(batch)


def test_a_users_localizer_may_have_regions_of_its_own() -> None:
    assert [len(one.regions) for one in found(OwnRegions(True), proposals=2)] == [2, 2, 2]
    with pytest.raises(UsageError, match="neither heat maps nor regions"):
        found(OwnRegions(False), proposals=2)
