"""One classifier in several threads: each call answers as if it were alone."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import networks
import pytest
from examples import examples
from torch import Tensor, nn

import gradbox
from gradbox.localization import Localization
from gradbox.methods import METHODS, ready

THREADS = 6


class Waiting(nn.Module):
    """Passes its input on after a rest, so that other threads run in the middle of a pass."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.002)
        return x


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting backward hooks")  # what hides it is not of one thread
def test_every_method_answers_in_threads_as_alone():
    """All methods at once on one module: a hook of one must not see the passes of another.

    Each image has its own answer, so that another call's activations would show.
    """
    net = networks.network()
    net.features.insert(3, Waiting())
    classifier = networks.classifier(net, size=(32, 32))
    images = networks.pixels(3, (32, 32))
    texts = [
        *examples(METHODS),
        "sensitivity(target=layer_mean)",
        "peer(name=GuidedBackprop)",
        "peer(pytorch_grad_cam, GradCAM)",
        "peer(torchcam, GradCAM)",
    ]

    def answer(text: str, image: int) -> list[float]:
        localizer = ready(text, None, classifier).localizer
        batch = networks.batch(images[image : image + 1], labels=[(image,)])
        (found,) = localizer.localize(batch)
        assert isinstance(found, Localization)
        return [*found.boxes.ravel().tolist(), *found.scores]

    calls = [(text, image) for image in range(len(images)) for text in texts]
    alone = [answer(*call) for call in calls]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(answer, *zip(*calls * 2, strict=True)))
    for call, one, other in zip(calls * 2, together, alone * 2, strict=True):
        assert one == pytest.approx(other, abs=1e-9), call
    assert not any(module._forward_hooks for module in classifier.module.modules())


@pytest.mark.slow
def test_photographs_in_threads(assets: Path):
    """The same on a real network, by the public function; `dam` failed in 119 of 120 such calls."""
    classifier = gradbox.load_classifier(
        str(assets / "models" / "squeezenet1_1.toml"), device="cpu"
    )
    photographs = sorted((assets / "data" / "imagenet_dev" / "images").iterdir())[:4]

    def boxes(photograph: Path) -> list[list[float]]:
        (found,) = gradbox.localize([photograph], classifier, method="dam(kmax=2, k=1)")
        assert isinstance(found, Localization)
        return found.boxes.tolist()

    alone = [boxes(photograph) for photograph in photographs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(boxes, photographs * 3)) == alone * 3
