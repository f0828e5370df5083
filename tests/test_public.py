"""The public surface: small, sorted, lazy."""

import subprocess
import sys

import pytest

import gradbox


def test_names_are_sorted_and_few() -> None:
    assert gradbox.__all__ == sorted(gradbox.__all__)
    assert len(gradbox.__all__) <= 34


@pytest.mark.parametrize("name", gradbox.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    assert getattr(gradbox, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gradbox.no_such_name


def test_import_gradbox_leaves_torch_alone() -> None:
    code = "import sys, gradbox; sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_jobs_import_only_what_every_call_needs() -> None:
    # torchvision's models and ops bring in torch._dynamo: 1.5 s before the first image.
    heavy = ("torchvision", "torch._dynamo", "scipy.stats", "matplotlib", "sklearn", "supervision")
    code = f"import sys, gradbox.pipeline; sys.exit(str(sys.modules.keys() & {set(heavy)}))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == "set()"


def test_help_needs_no_torch() -> None:
    code = "import sys, gradbox.cli.app; sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
