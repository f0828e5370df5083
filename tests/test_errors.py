import pickle

import pytest

from gradbox.errors import ImageError, UsageError, nearest


def test_nearest_offers_the_best_first_and_ignores_case():
    names = ["Ridge", "whole", "center", "top_fraction"]
    assert nearest("ridg", names) == " (did you mean Ridge?)"
    assert nearest("CENTRE", names) == " (did you mean center?)"


def test_nearest_offers_at_most_count_names_joined_by_or():
    assert nearest("a1", ["a2", "a3", "a4"], count=2).count(" or ") == 1


def test_nearest_is_silent_where_nothing_is_near():
    assert nearest("zebra", ["mass", "dam"]) == ""
    assert nearest("anything", []) == ""


@pytest.mark.parametrize("kind", [UsageError, ImageError])
def test_both_kinds_are_value_errors_and_not_each_other(kind: type[Exception]):
    assert issubclass(kind, ValueError)
    assert not issubclass(UsageError, ImageError)
    assert not issubclass(ImageError, UsageError)


def test_an_image_error_knows_its_image_and_keeps_its_message():
    error = ImageError("the file is empty")
    error.__cause__ = OSError("why")
    named = error.of("a/b.png")
    assert (str(named), named.image_id, named.__cause__) == (str(error), "a/b.png", error.__cause__)
    assert error.image_id is None
    again = pickle.loads(pickle.dumps(named))
    assert (str(again), again.image_id) == ("the file is empty", "a/b.png")
