"""How near a map of the pixels and its box are to their limit: one forward and one backward pass.

Expected, over the fastest bare forward pass: VGG16 at most 2.05, ResNet-50 2.1, MobileNetV2,
EfficientNet-Lite0 and GoogLeNet 2.3, ViT-B/16 2.2.

    OMP_WAIT_POLICY=passive python benchmarks/limit.py torchvision/resnet50 --batch 1 8

`as loaded` is the same with `faster=False`, as gradbox was before; `faster` has batch norms folded,
whole products in attention and no copies in activations, and it keeps freed memory with
`--keep-memory`, as the commands do, which then is so for all that is timed. Each ratio is the
median over interleaved rounds, in a round to the faster of the two bare passes. With `--clock cpu`
seconds are those of both threads, for a machine that others use, too; then threads must wait
asleep.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import cost
import torch

from gradbox.attribution.layers import last_convolutional_layer
from gradbox.methods import ready
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.memory import keep_freed_memory
from gradbox.models.sources import UNTRAINED

BARE = ("contiguous", "channels_last")
CLOCKS: dict[str, Callable[[], float]] = {"wall": perf_counter, "cpu": process_time}


def box(classifier: Classifier, pixels: torch.Tensor) -> cost.Job:
    localizer = ready("sensitivity", None, classifier).localizer
    return lambda: localizer.localize(cost.batch_of(pixels))


def jobs_of(model: str, batch: int, *, peers: bool, compiled: bool) -> dict[str, cost.Job]:
    """What is timed, the bare passes first."""
    weights = UNTRAINED if model.startswith("torchvision/") else None
    load = partial(load_classifier, model, weights=weights, device="cpu")
    plain, last = (load(memory_format=layout, faster=False) for layout in BARE)
    pixels = torch.randint(0, 256, (batch, 3, *plain.preprocessing.size), dtype=torch.uint8)
    images = plain.normalize(pixels)
    jobs = {
        "contiguous": partial(cost.bare, plain.module, images),
        "channels_last": partial(cost.bare, last.module, last.normalize(pixels)),
        "as loaded": box(last, pixels),
        "faster": box(load(), pixels),
    }
    if compiled:
        jobs["compiled"] = box(load(compiled=True), pixels)
    if peers:
        users = load(memory_format="contiguous").module.requires_grad_(True)
        layer = users.get_submodule(last_convolutional_layer(plain).name)
        jobs["captum Saliency"] = partial(cost.saliency, users, images)
        if "vit" not in model:  # whose tokens they do not take as they come
            jobs["pytorch-grad-cam GradCAM"] = partial(cost.grad_cam, users, layer, images)
            jobs["torch-cam GradCAM"] = partial(cost.torch_cam, users, layer, images)
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--keep-memory", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.keep_memory:
        keep_freed_memory()
    clock, header = CLOCKS[options.clock], False
    for model in options.models:
        for batch in options.batch:
            torch.manual_seed(0)
            jobs = jobs_of(model, batch, peers=not options.no_peers, compiled=options.compiled)
            seconds = cost.measure(jobs, options.rounds, clock)
            if not header:
                print("| network | batch | ms an image, bare |", " | ".join(jobs), "|")
                print("|---" * (3 + len(jobs)) + "|")
                header = True
            fastest = [min(pair) for pair in zip(*(seconds[name] for name in BARE), strict=True)]
            ratios = (
                f"{median(one / base for one, base in zip(values, fastest, strict=True)):.2f}"
                for values in seconds.values()
            )
            each = 1000 * median(fastest) / batch
            print(
                f"| {Path(model).stem} | {batch} | {each:.1f} |",
                " | ".join(ratios),
                "|",
                flush=True,
            )


if __name__ == "__main__":
    main()
