"""`gradbox.plot` and notebooks show a localization; elsewhere it is one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gradbox
from gradbox.geometry import Frame
from gradbox.localization import Localization
from gradbox.reports.drawing import picture


def found(**more: object) -> Localization:
    return Localization(
        **{  # type: ignore[arg-type]
            "image_id": "cat.png",
            "size": (40, 60),
            "boxes": np.array([[10.0, 5, 30, 25]]),
            "labels": (3,),
            "label_scores": (0.876,),
            "scores": (0.5,),
            "names": ("cat",),
            **more,
        }
    )


def test_the_text_is_one_line() -> None:
    assert repr(found(source=np.zeros((40, 60, 3), np.uint8))) == (
        "<Localization 'cat.png', 60 x 40: cat 0.88 at [10, 5, 30, 25] score 0.50>"
    )
    none = found(boxes=np.zeros((0, 4)), labels=(), label_scores=(), scores=(), names=())
    assert repr(none) == "<Localization 'cat.png', 60 x 40: no box>"
    unnamed = found(names=(), labels=(None,))
    assert "object 0.88 at" in repr(unnamed)


def test_plot_is_the_picture_of_its_source_and_frame() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    frame = Frame.resize_and_crop((40, 60), 20, (20, 20))
    shown = found(source=rgb, frame=frame, heatmap=np.eye(5))
    expected = picture(rgb, shown, frame=frame)
    np.testing.assert_array_equal(np.asarray(gradbox.plot(shown)), expected)
    elsewhere = found(frame=frame, heatmap=np.eye(5))
    np.testing.assert_array_equal(np.asarray(gradbox.plot(elsewhere, rgb)), expected)


def test_plot_says_what_is_missing() -> None:
    with pytest.raises(gradbox.UsageError, match="does not know its image: give it, as in"):
        gradbox.plot(found())
    with pytest.raises(gradbox.ImageError, match="no such file"):
        gradbox.plot(found(source="nowhere.png"))


def test_what_localize_gives_knows_its_image_and_frame(card: Path, photos: Path) -> None:
    classifier = gradbox.load_classifier(str(card), device="cpu")
    path = next(photos.glob("*.png"))
    one = gradbox.localize(path, classifier, method="sensitivity", details=True)
    assert one.source == path
    with Image.open(path) as image:
        assert one.frame == Frame.squash((image.height, image.width), (64, 64))
    assert gradbox.plot(one).width > gradbox.plot(gradbox.localize(path, classifier)).width


SHELL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
import gradbox, numpy as np
from gradbox.localization import Localization
one = dict(image_id="a", size=(40, 60), boxes=np.array([[10.0, 5, 30, 25]]), labels=(3,),
           label_scores=(0.9,), scores=(0.5,), names=("cat",))
print("torch" in sys.modules)
for source in (np.zeros((40, 60, 3), np.uint8), None, "nowhere.png"):
    data, _ = shell.display_formatter.format(Localization(**one, source=source))
    print(sorted(data), data["text/plain"].splitlines()[0])
    for kind in data:
        if kind == "image/jpeg":
            print(data[kind][:2] == b"\\xff\\xd8")
"""


@pytest.mark.slow
def test_a_notebook_shows_the_picture_or_the_line() -> None:
    pytest.importorskip("IPython")
    done = subprocess.run([sys.executable, "-c", SHELL], capture_output=True, text=True, check=True)
    line = "<Localization 'a', 60 x 40: cat 0.90 at [10, 5, 30, 25] score 0.50>"
    assert done.stdout.splitlines() == [
        "False",
        f"['image/jpeg', 'text/plain'] {line}",
        "True",
        f"['text/plain'] {line}",
        f"['text/plain'] {line}",
    ]
