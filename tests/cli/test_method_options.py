"""`--no-foreground` on the command line: what becomes of the method's text."""

import pytest

from gradbox.auto.method import Auto
from gradbox.cli.method_options import ForegroundOptions
from gradbox.errors import UsageError
from gradbox.methods import to_method


@pytest.mark.parametrize("method", ["auto", "auto(share=0.4)", "auto(foreground=true, share=0.4)"])
def test_auto_does_without_the_foreground(method: str) -> None:
    without = to_method(ForegroundOptions(foreground=False).with_foreground(method))
    given = to_method(method)
    assert isinstance(without, Auto)
    assert isinstance(given, Auto)
    assert (without.foreground, without.share) == (False, given.share)


def test_nothing_said_changes_nothing() -> None:
    assert ForegroundOptions().with_foreground("dam(k=3)") == "dam(k=3)"


def test_other_methods_have_no_foreground_to_leave_out() -> None:
    with pytest.raises(UsageError, match="--no-foreground is about the method auto, not gradcam"):
        ForegroundOptions(foreground=False).with_foreground("gradcam")
    with pytest.raises(UsageError, match="--foreground is about"):
        ForegroundOptions(foreground=True).with_foreground("gradcam")
