"""What DAM costs by stage, over one bare forward pass of the same batch and against its floor.

Expected: `dam` at most 1.1 times its floor: a forward pass, the ranking, kmax guided backward
passes, and kmax + 1 forward passes for the regions and their union. With `--peers` also the naive
form, and a guided map at least 3 times as fast as pytorch-grad-cam's `GuidedBackpropReLUModel`.

    python benchmarks/dam_cost.py torchvision/vgg16 efficientnet_lite0 --batch 4

torchvision's networks have random weights, and the pictures are gradbox's own scenes. Each figure
is the median over interleaved rounds of ratios taken round by round. `--clock processor` counts the
processor time of all threads, for a machine that does other work (set OMP_WAIT_POLICY=passive and
GOMP_SPINCOUNT=0, or waiting counts as work). The naive form is DAM as the paper lists it: for each
image a pass for the ranking, for each of kmax neurons a whole forward and backward pass, for each
blob a forward pass.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import numpy as np
import torch
from cost import bare
from pytorch_grad_cam import GuidedBackpropReLUModel

from gradbox.attribution.gradients import differentiable, forward, gradient, input_gradient
from gradbox.attribution.heatmaps import signed_mean
from gradbox.attribution.targets import neuron
from gradbox.dam.blobs import Smoothing, blob
from gradbox.dam.localizer import Dam, DamLocalizer
from gradbox.dam.neurons import guided_backpropagation, layer_gradient_x_activation, top_neurons
from gradbox.dam.rescoring import Alone, rescore
from gradbox.dam.stages import Stages
from gradbox.datasets.scenes import scene
from gradbox.geometry import Frame
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.memory import keep_freed_memory
from gradbox.models.sources import UNTRAINED

KMAX = 10
CLOCKS = {"wall": perf_counter, "processor": process_time}
STAGES = {
    "forward pass": (DamLocalizer, "_pass"),
    "ranking": (Stages, "speakers"),
    "guided passes": (Stages, "seen_by"),
    "blobs": (Stages, "blobs"),
    "rescoring": (Alone, "scores"),
}
Clock = Callable[[], float]
Job = tuple[Callable[[], object], int]
Seconds = dict[str, float]


def batch_of(classifier: Classifier, count: int) -> Batch:
    height, width = classifier.preprocessing.size
    pictures = [scene(1, i, size=(height, width)).image for i in range(count)]
    return Batch(
        image_ids=tuple(map(str, range(count))),
        pixels=torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous(),
        frames=(Frame.squash((height, width), (height, width)),) * count,
        labels=((0,),) * count,
    )


def timed(job: Callable[[], object], clock: Clock) -> float:
    started = clock()
    job()
    return clock() - started


@contextmanager
def watched(clock: Clock) -> Iterator[Seconds]:
    """What each stage takes while this is open."""
    spent = dict.fromkeys(STAGES, 0.0)
    originals = {name: getattr(owner, method) for name, (owner, method) in STAGES.items()}
    for name, (owner, method) in STAGES.items():

        def watch(*given: object, _name: str = name, **options: object) -> object:
            started = clock()
            result = originals[_name](*given, **options)
            spent[_name] += clock() - started
            return result

        setattr(owner, method, watch)
    try:
        yield spent
    finally:
        for name, (owner, method) in STAGES.items():
            setattr(owner, method, originals[name])


def positions(classifier: Classifier, images: torch.Tensor, layer: str) -> torch.Tensor:
    labels = torch.zeros(len(images), dtype=torch.long)
    outputs = forward(classifier, images, layers=[layer])
    return top_neurons(layer_gradient_x_activation(outputs, layer, labels), KMAX)[1]


def naive(classifier: Classifier, images: torch.Tensor, layer: str) -> None:
    for image in images.split(1):
        for place in positions(classifier, image, layer)[0].split(1):
            attribution = input_gradient(
                classifier,
                image,
                lambda out, at=place: neuron(out.activations[layer], at),
                layers=[layer],
                rule="guided",
            )
            mask = blob(signed_mean(attribution)[0].numpy(), smoothing=Smoothing())
            owner, label = np.zeros(1, dtype=np.int64), torch.zeros(1, dtype=torch.long)
            rescore(classifier, image, mask[None], owner, label)


def peers(model: str, classifier: Classifier, images: torch.Tensor, layer: str) -> dict[str, Job]:
    """The naive form, and a guided map beside pytorch-grad-cam's, each for so many images or maps.

    The peer exchanges the network's ReLU modules, so it gets a network of its own.
    """
    network = load(model).module
    peer = GuidedBackpropReLUModel(model=network, device=torch.device("cpu"))
    places = positions(classifier, images, layer)
    return {
        "dam, naive": (partial(naive, classifier, images, layer), len(images)),
        "guided map": (
            partial(guided_backpropagation, classifier, images, layer, places),
            len(images) * KMAX,
        ),
        "pytorch-grad-cam guided map": (partial(peer, images[:1], target_category=0), 1),
    }


def rounds_of(localizer: DamLocalizer, batch: Batch, clock: Clock, rounds: int) -> list[Seconds]:
    """Over a bare forward pass of the same round: the stages, all, and the floor."""
    classifier, layer = localizer.classifier, localizer._stages.layer.name
    images = classifier.normalize(batch.pixels)
    graph = forward(classifier, images, layers=[layer], head=False, rule="guided")
    places = positions(classifier, images, layer)[:, 0]

    def backward() -> None:
        with differentiable():
            values = neuron(graph.activations[layer], places)
        gradient(values, graph.images, keep=True)

    found = []
    for turn in range(rounds + 1):  # the first one warms up
        base = min(timed(partial(bare, classifier.module, images), clock) for _ in range(2))
        back = timed(backward, clock) / base
        with watched(clock) as spent:
            total = timed(partial(localizer.localize, batch), clock) / base
        if turn:
            stages = {name: seconds / base for name, seconds in spent.items()}
            floor = 1 + stages["ranking"] + KMAX * back + KMAX + 1
            rest = total - sum(stages.values())
            found.append({**stages, "rest": rest, "dam": total, "floor": floor})
    return found


def load(model: str) -> Classifier:
    weights = UNTRAINED if model.startswith("torchvision/") else None
    return load_classifier(model, weights=weights, device="cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--keep-memory", action="store_true", help="as the command line does")
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.keep_memory:
        keep_freed_memory()
    columns = (*STAGES, "rest", "dam", "floor")
    print(f"| model | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 1) + "|")
    for model in options.models:
        localizer = DamLocalizer(Dam(kmax=KMAX), load(model))
        batch = batch_of(localizer.classifier, options.batch)
        clock = CLOCKS[options.clock]
        found = rounds_of(localizer, batch, clock, options.rounds)
        values = " | ".join(f"{median(one[name] for one in found):.2f}" for name in columns)
        print(f"| {Path(model).stem} | {values} |", flush=True)
        if options.peers:
            classifier, layer = localizer.classifier, localizer._stages.layer.name
            images = classifier.normalize(batch.pixels)
            for name, (job, count) in peers(model, classifier, images, layer).items():
                base = timed(partial(bare, classifier.module, images), clock) / len(images)
                print(f"{name}: {timed(job, clock) / count / base:.2f} forward passes", flush=True)


if __name__ == "__main__":
    main()
