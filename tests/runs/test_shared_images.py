"""The images that several runs have in common, in whatever order each has them."""

from gradbox.localization import Sample
from gradbox.results.predictions import Outcome
from gradbox.runs.shared_images import Outcomes, SharedImages


def run(ids: str, failed: str = "") -> Outcomes:
    """The images of a run, some of which failed."""
    return lambda: [Outcome(i, f"torn {i}" if i in failed else None, (), ()) for i in ids]


def numbers(shared: SharedImages, ids: str) -> list[int | None]:
    return [shared.number_of(place, one) for place, one in enumerate(ids)]


def shared_by(*runs: Outcomes) -> SharedImages:
    return SharedImages(runs)


def test_runs_in_the_same_order() -> None:
    shared = shared_by(run("abcd", "b"), run("abcd", "d"))
    assert numbers(shared, "abcd") == [0, None, 2, None]
    assert dict(shared.failures) == {"b": "torn b", "d": "torn d"}


def test_an_order_of_their_own_changes_no_number() -> None:
    """As where images were added to one of two runs in shards, which come at its end."""
    shared = shared_by(run("abcd"), run("abdc", "c"))
    assert numbers(shared, "abcd") == [0, 1, None, 3]
    assert numbers(shared, "dcba") == [3, None, 1, 0]
    assert shared.failures.count == 1


def test_what_a_run_lacks_is_scored_in_none_and_is_no_failure() -> None:
    shared = shared_by(run("abc"), run("xab"))
    assert numbers(shared, "abc") == [0, 1, None]
    assert numbers(shared, "xab") == [None, 0, 1]
    assert shared.failures.count == 0


def test_an_image_that_fails_in_two_runs_failed_once() -> None:
    shared = shared_by(run("ab", "a"), run("ab", "a"))
    assert (shared.failures.count, dict(shared.failures)) == (1, {"a": "torn a"})
    samples = [Sample(image_id=one, source=one) for one in "ab"]
    assert [one.image_id for one in shared.scored(samples)] == ["b"]
