"""What a map costs: ratios to the bare forward pass and to other libraries' maps, in one run.

Expected: a class activation map at most 1.3 times the forward pass of the same model in the same
memory layout, a map of the pixels at most 2.2 times, and at least 1.3 times as fast as captum's
`Saliency` as its users call it (weights require gradients).

    python benchmarks/cost.py torchvision/vgg16 $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml

torchvision's networks are timed with random weights. Each figure is the median over interleaved
rounds; the ratio is taken round by round, so a machine that slows down slows both. A map of gradbox
is timed with all that belongs to it, from uint8 pixels to maps at the size of the input; a peer's
from normalized pixels, with the forward pass that finds the class.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from captum.attr import LayerGradCam, Saliency
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn
from torchcam.methods import GradCAM as TorchCam

from gradbox.attribution.layers import last_convolutional_layer
from gradbox.errors import ImageError
from gradbox.geometry import Frame
from gradbox.localization import Batch
from gradbox.methods import ready_maps
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.sources import UNTRAINED

METHODS = (
    "sensitivity",
    "sensitivity(target=layer_mean, reduce=max)",
    "gradcam",
    "gradcam(layer=stride16)",
    "hirescam",
    "gradcam_pp",
    "xgradcam",
    "layercam",
    "layercam(layer=[stride16, last])",
    "eigencam",
    "gradient_x_input",
    "guided_gradcam",
    "product(sensitivity, gradcam, layercam(layer=stride16))",
)
Job = Callable[[], object]


def batch_of(pixels: Tensor) -> Batch:
    """A new batch, which has no memory of what was computed."""
    size = (pixels.shape[2], pixels.shape[3])
    return Batch(
        image_ids=tuple(map(str, range(len(pixels)))),
        pixels=pixels,
        frames=(Frame.squash(size, size),) * len(pixels),
        labels=(None,) * len(pixels),
    )


def ours(text: str, classifier: Classifier, pixels: Tensor) -> Job:
    maker = ready_maps(text, classifier)[1]

    def job() -> None:
        assert not any(isinstance(one, ImageError) for one in maker.maps(batch_of(pixels)))

    return job


def bare(module: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        module(images)


def recognized(module: nn.Module, images: Tensor) -> list[int]:
    with torch.no_grad():
        return module(images).argmax(dim=1).tolist()


def saliency(module: nn.Module, images: Tensor) -> None:
    x = images.clone().requires_grad_()
    Saliency(module).attribute(x, target=recognized(module, x))


def layer_grad_cam(module: nn.Module, layer: nn.Module, images: Tensor) -> None:
    LayerGradCam(module, layer).attribute(images, target=recognized(module, images))


def grad_cam(module: nn.Module, layer: nn.Module, images: Tensor) -> None:
    with GradCAM(module, [layer]) as cam:
        cam(images, None)  # which finds the class itself


def torch_cam(module: nn.Module, layer: nn.Module, images: Tensor) -> None:
    with TorchCam(module, layer) as extractor:
        scores = module(images)
        extractor(scores.argmax(dim=1).tolist(), scores)


def jobs_of(model: str, batch: int, texts: Sequence[str]) -> dict[str, Job]:
    """What is timed, with the forward pass of each layout first."""
    weights = UNTRAINED if model.startswith("torchvision/") else None
    load = partial(load_classifier, model, weights=weights, device="cpu")
    plain, last = load(memory_format="contiguous"), load(memory_format="channels_last")
    users = load(memory_format="contiguous").module.requires_grad_(True)
    layer = users.get_submodule(last_convolutional_layer(plain).name)
    size = (batch, 3, *plain.preprocessing.size)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8)
    images = plain.normalize(pixels)
    return {
        "forward": partial(bare, plain.module, images),
        "forward, channels_last": partial(bare, last.module, last.normalize(pixels)),
        **{f"`{text}`": ours(text, plain, pixels) for text in texts},
        **{f"`{text}`, channels_last": ours(text, last, pixels) for text in texts},
        "captum Saliency": partial(saliency, users, images),
        "captum LayerGradCam": partial(layer_grad_cam, users, layer, images),
        "pytorch-grad-cam GradCAM": partial(grad_cam, users, layer, images),
        "torch-cam GradCAM": partial(torch_cam, users, layer, images),
    }


def measure(
    jobs: dict[str, Job], rounds: int, clock: Callable[[], float] = perf_counter
) -> dict[str, list[float]]:
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            started = clock()
            job()
            seconds[name].append(clock() - started)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--batch", type=int, nargs="+", default=[8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        "| model | batch | job | ms an image | over forward, same layout | over fastest forward |"
    )
    print("|---|---|---|---|---|---|")
    for model in options.models:
        for batch in options.batch:
            seconds = measure(jobs_of(model, batch, options.methods), options.rounds)
            fastest = [min(pair) for pair in zip(*list(seconds.values())[:2], strict=True)]
            for name, values in seconds.items():
                layout = ", channels_last" if name.endswith(", channels_last") else ""
                base = seconds[f"forward{layout}"]
                same = median(v / b for v, b in zip(values, base, strict=True))
                best = median(v / b for v, b in zip(values, fastest, strict=True))
                each = 1000 * median(values) / batch
                shown = Path(model).stem
                print(
                    f"| {shown} | {batch} | {name} | {each:.1f} | {same:.2f} | {best:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
