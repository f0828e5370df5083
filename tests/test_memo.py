"""What was computed once is known to all, and each pays for it as if it had been alone."""

import pytest

from gradbox import memo as module
from gradbox.memo import Memo


class Time:
    """A clock that goes on only where something is made."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1e-9  # no two moments are the same
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def made(memo: Memo, time: Time, name: str, seconds: float, *parts: tuple) -> str:
    """Something of this name, made of parts that are made the same way, where it is not known."""
    started = memo.clock()
    if memo.known(name) is None:
        for part in parts:
            made(memo, time, *part)
        time.now += seconds
        memo.keep(name, name, since=started)
    return name


PASS = ("pass", 10.0)
CAM = ("cam", 1.0, PASS)
GRADIENT = ("gradient", 20.0, PASS)


def cost(memo: Memo, time: Time, *parts: tuple) -> float:
    """Of another method that combines these, 3 s of its own aside."""
    started = memo.start()
    for part in parts:
        made(memo, time, *part)
    time.now += 3.0
    return memo.clock() - started


def test_one_method_pays_for_what_its_parts_share_once(time: Time) -> None:
    memo = Memo()
    assert cost(memo, time, CAM, GRADIENT) == pytest.approx(3 + 10 + 1 + 20, abs=1e-6)


def test_each_pays_as_if_it_were_alone_whoever_was_first(time: Time) -> None:
    expected = {(CAM,): 14.0, (GRADIENT,): 33.0, (CAM, GRADIENT): 34.0, (GRADIENT, PASS): 33.0}
    memo = Memo()
    for parts in (*expected, *reversed(list(expected))):
        assert cost(memo, time, *parts) == pytest.approx(expected[parts], abs=1e-6)


def test_what_was_there_before_a_thing_was_made_of_it_is_a_part_of_it_too(time: Time) -> None:
    memo = Memo()
    cost(memo, time, PASS, CAM)  # the pass stands before the map begins
    assert cost(memo, time, CAM) == pytest.approx(14.0, abs=1e-6)


def test_what_has_no_hash_is_not_kept_and_all_can_be_forgotten() -> None:
    memo = Memo()
    assert memo.keep(["no hash"], 3, since=memo.clock()) == 3
    assert memo.known(["no hash"]) is None
    assert memo.keep("key", "value", since=memo.clock()) == "value"
    assert memo.known("key") == "value"
    memo.forget()
    assert memo.known("key") is None
