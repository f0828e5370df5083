"""The whole way on real classifiers and photographs; slow, and only where the assets are."""

import json
from pathlib import Path

import pytest

import gradbox
from gradbox.datasets import Dataset

pytestmark = pytest.mark.slow

# Top-1 accuracy on an easy subset, as stated with the weights: a wrong colour order, scale or class
# order would cost far more than the tolerance of 0.12 for 120 images.
ACCURACY = {
    "squeezenet1_1": 0.61,
    "mobilenet_v2_tf": 0.76,
    "bvlc_googlenet": 0.76,
    "mobilenet_edgetpu": 0.80,
}


@pytest.fixture(scope="module")
def photographs(assets: Path) -> Dataset:
    return gradbox.load_dataset(f"csv:{assets / 'data' / 'imagenet_dev'}")


@pytest.mark.parametrize("card", ACCURACY)
def test_each_classifier_recognizes_and_localizes(
    card: str, assets: Path, photographs: Dataset, tmp_path: Path
) -> None:
    classifier = gradbox.load_classifier(str(assets / "models" / f"{card}.toml"), device="cpu")
    report = gradbox.evaluate(
        photographs,
        classifier,
        tmp_path / "out",
        class_from="truth",
        part=gradbox.Part(limit=120, seed=1),
    )
    assert report.metrics is not None
    assert report.metrics["top1_accuracy"] > ACCURACY[card] - 0.12
    # A box of random place and size reaches a mean IoU below 0.25 on such photographs.
    assert report.metrics["mean_iou"] > 0.45
    assert report.metrics["center_correctness"]["0.00"] > 0.8


def test_constant_boxes_score_what_is_stated_with_the_photographs(
    assets: Path, photographs: Dataset, tmp_path: Path
) -> None:
    """The data's own description says 60.1 % and 48.3 %; no network of ours is involved."""
    from gradbox.scores.baselines import constant_boxes, constant_units
    from gradbox.scores.boxes import Scores
    from gradbox.scores.units import true_units

    def corloc(name: str) -> float:
        scores = Scores.of(
            unit
            for number, one in enumerate(photographs.samples)
            for truth in [true_units(one, "none", lambda text: 0)]
            for unit in constant_units(number, truth, one.size or (0, 0), shares[name])
        )
        return float(100 * scores.summary()["corloc"])

    shares = constant_boxes(photographs.samples)
    assert round(corloc("center(0.8)"), 1) == 60.1
    assert round(corloc("whole"), 1) == 48.3


def test_an_attention_map_regressor_carries_over_to_an_unknown_class(
    assets: Path, photographs: Dataset, tmp_path: Path
) -> None:
    """Raccoons are no class of the network: nothing but the attention map can be asked for."""
    card = str(assets / "models" / "squeezenet1_1.toml")
    classifier = gradbox.load_classifier(card, device="cpu")
    method, file = "sensitivity(target=layer_mean, reduce=max)", tmp_path / "box.safetensors"
    part = gradbox.Part(limit=150)
    gradbox.fit(photographs, classifier, file, method=method, box="ridge(grid=14)", part=part)
    raccoons = gradbox.load_dataset(f"csv:{assets / 'data' / 'raccoon'}")
    report = gradbox.evaluate(
        raccoons,
        classifier,
        tmp_path / "out",
        method=method,
        box=f"ridge({file})",
        part=gradbox.Part(limit=60),
    )
    assert report.metrics is not None
    assert report.metrics["supervision"] == "150 boxes"
    assert report.metrics["n_units"] == 60
    assert report.metrics["mean_iou"] > 0.3
    first = json.loads((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()[0])
    assert first["labels"] == [None]


def test_memory_does_not_grow_with_the_number_of_images(assets: Path, tmp_path: Path) -> None:
    """Peak resident memory of one process over 40 and over 400 images; the pages of the second
    run may not need more than a tenth beyond the first.
    """
    import subprocess
    import sys

    code = (
        "import resource, sys, gradbox\n"
        "from pathlib import Path\n"
        "data, card, out, limit = sys.argv[1:]\n"
        "classifier = gradbox.load_classifier(card, device='cpu')\n"
        "gradbox.evaluate(gradbox.load_dataset(data), classifier, Path(out),\n"
        "    method='sensitivity', part=gradbox.Part(limit=int(limit)))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )

    def peak(limit: int) -> int:
        words = [
            f"csv:{assets / 'data' / 'imagenet_dev'}",
            str(assets / "models" / "squeezenet1_1.toml"),
            str(tmp_path / str(limit)),
            str(limit),
        ]
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
        )
        return int(done.stdout.split()[-1])

    assert peak(400) < 1.1 * peak(40)
