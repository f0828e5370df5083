"""What a map costs: ratios to the bare forward pass and to captum's Saliency, in one run.

Expected: maps at most 2.2 times the forward pass of the same model in the same memory layout, and
at least 1.3 times as fast as captum's `Saliency` as its users call it (weights require gradients).

    python benchmarks/cost.py torchvision/vgg16 $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml

torchvision's networks are timed with random weights. Each figure is the median over interleaved
rounds; the ratio is taken round by round, so a machine that slows down slows both.
"""

import argparse
from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter

import torch
from captum.attr import Saliency

from gradbox.attribution.gradients import forward, gradient
from gradbox.attribution.heatmaps import reduce_channels
from gradbox.attribution.layers import last_convolutional_layer
from gradbox.attribution.targets import class_score, layer_mean
from gradbox.models.classifier import Classifier
from gradbox.models.load import UNTRAINED, load_classifier


def class_map(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    outputs = forward(classifier, images)
    assert outputs.logits is not None
    scalars = class_score(outputs.logits, outputs.logits.argmax(dim=1))
    return reduce_channels(gradient(scalars, outputs.images))


def attention_map(classifier: Classifier, images: torch.Tensor, layer: str) -> torch.Tensor:
    outputs = forward(classifier, images, layers=[layer], head=False)
    return reduce_channels(gradient(layer_mean(outputs.activations[layer]), outputs.images), "max")


def bare(classifier: Classifier, images: torch.Tensor) -> None:
    with torch.no_grad():
        classifier.module(images)


def saliency(module: torch.nn.Module, images: torch.Tensor) -> None:
    x = images.clone().requires_grad_()
    with torch.no_grad():
        labels = module(x).argmax(dim=1)
    Saliency(module).attribute(x, target=labels)


def measure(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    for job in jobs.values():
        job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            started = perf_counter()
            job()
            seconds[name].append(perf_counter() - started)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batch", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        "| model | batch | job | ms an image | over forward, same layout | over fastest forward |"
    )
    print("|---|---|---|---|---|---|")
    for model in options.models:
        weights = UNTRAINED if model.startswith("torchvision/") else None
        plain, last = (
            load_classifier(model, weights=weights, device="cpu", memory_format=layout)
            for layout in ("contiguous", "channels_last")
        )
        layer = last_convolutional_layer(plain).name
        users = load_classifier(model, weights=weights, device="cpu", memory_format="contiguous")
        users.module.requires_grad_(True)
        for batch in options.batch:
            x = torch.randn(batch, 3, *plain.preprocessing.size)
            y = x.contiguous(memory_format=torch.channels_last)
            jobs: dict[str, Callable[[], object]] = {
                "forward": partial(bare, plain, x),
                "forward, channels_last": partial(bare, last, y),
                "class map": partial(class_map, plain, x),
                "class map, channels_last": partial(class_map, last, y),
                "attention map": partial(attention_map, plain, x, layer),
                "attention map, channels_last": partial(attention_map, last, y, layer),
                "captum Saliency and its forward": partial(saliency, users.module, x),
            }
            seconds = measure(jobs, options.rounds)
            fastest = [min(pair) for pair in zip(*list(seconds.values())[:2], strict=True)]
            for name, values in seconds.items():
                base = seconds["forward, channels_last" if "last" in name else "forward"]
                same = median(v / b for v, b in zip(values, base, strict=True))
                best = median(v / b for v, b in zip(values, fastest, strict=True))
                each = 1000 * median(values) / batch
                print(f"| {model} | {batch} | {name} | {each:.1f} | {same:.2f} | {best:.2f} |")


if __name__ == "__main__":
    main()
