"""The public surface: small, sorted, lazy."""

import subprocess
import sys
from pathlib import Path

import pytest

import gradbox


def test_names_are_sorted_and_few() -> None:
    assert gradbox.__all__ == sorted(gradbox.__all__)
    assert len(gradbox.__all__) <= 40


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


def test_dir_has_every_public_name_before_and_after_its_use() -> None:
    code = (
        "import gradbox; before = dir(gradbox); gradbox.Frame; print(*before); print(*dir(gradbox))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for names in map(str.split, done.stdout.splitlines()):
        assert {*gradbox.__all__, "__version__"} <= {*names}
        assert names == sorted(names)


WRONG = """
import sys
from pathlib import Path

import gradbox
from gradbox.models.small import Small


def say(call, *given):
    try:
        call(*given)
    except gradbox.UsageError as error:
        print(error)


bare, name, out = Small(2), "torchvision/resnet50", Path("out")
good = gradbox.Classifier.wrap(bare, device="cpu")
data = gradbox.load_dataset("scenes:2")
runs = ["sensitivity"]
for classifier in (bare, name, 3, gradbox.Classifier):
    say(lambda: list(gradbox.localize(["a.jpg"], classifier)))
    say(gradbox.locate, [], classifier, out)
    say(gradbox.evaluate, data, classifier, out)
    say(lambda: gradbox.compare(data, [classifier], out, runs=runs))
    say(gradbox.fit, data, classifier, out)
for dataset in ("scenes:2", data.samples, None):
    say(gradbox.evaluate, dataset, good, out)
    say(lambda: gradbox.compare(dataset, [good], out, runs=runs))
    say(gradbox.fit, dataset, good, out)
say(lambda: gradbox.compare(data, good, out, runs=runs))
say(gradbox.Classifier.wrap, name)
say(gradbox.Classifier.from_function, name)
say(lambda: gradbox.Classifier.from_function(len, outputs="scores"))
sys.exit(out.exists())
"""


@pytest.mark.slow
def test_an_argument_of_another_type_is_refused_with_what_to_pass(tmp_path: Path) -> None:
    """In a program of its own: here the checker of the tests would refuse the types first."""
    done = subprocess.run(
        [sys.executable, "-c", WRONG], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    classifiers, datasets, others = said[:20], said[20:29], said[29:]
    assert all("is no Classifier: make one with load_classifier" in line for line in classifiers)
    assert all("is no Dataset: make one with load_dataset" in line for line in datasets)
    assert others == [
        "an object of type gradbox.models.classifier.Classifier is no Sequence: give a list, as in "
        "[classifier]",
        "'torchvision/resnet50' is no Module: a model by name is "
        "load_classifier('torchvision/resnet50')",
        "'torchvision/resnet50' is no function from images to scores: give one that takes an array "
        "(b, c, h, w) and returns an array (b, classes); a torch module goes to Classifier.wrap",
        "outputs='scores': use logits or probabilities",
    ]
