"""What DAM costs: ratios to a forward pass, the naive form and pytorch-grad-cam, in one run.

Expected: a guided map at least 3 times as fast as pytorch-grad-cam's `GuidedBackpropReLUModel`.

    python benchmarks/dam_cost.py torchvision/vgg16 $GRADBOX_ASSETS/models/mobilenet_edgetpu.toml

torchvision's networks have random weights. The naive form is DAM as the paper lists it: for each
image a pass for the ranking, for each of kmax neurons a whole forward and backward pass, for each
blob a forward pass.
"""

import argparse
from functools import partial
from statistics import median

import numpy as np
import torch
from cost import bare, measure
from pytorch_grad_cam import GuidedBackpropReLUModel

from gradbox.attribution.gradients import forward, input_gradient
from gradbox.attribution.heatmaps import signed_mean
from gradbox.attribution.targets import neuron
from gradbox.dam.blobs import Smoothing, blob
from gradbox.dam.localizer import Dam, DamLocalizer
from gradbox.dam.neurons import guided_backpropagation, layer_gradient_x_activation, top_neurons
from gradbox.dam.rescoring import rescore
from gradbox.geometry import Frame
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.sources import UNTRAINED

KMAX = 10


def batch_of(classifier: Classifier, count: int) -> Batch:
    height, width = classifier.preprocessing.size
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 3, height, width), dtype=np.uint8)
    return Batch(
        image_ids=tuple(map(str, range(count))),
        pixels=torch.from_numpy(pixels),
        frames=(Frame.squash((height, width), (height, width)),) * count,
        labels=((0,),) * count,
    )


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| model | job | s an image, or a map | over one forward pass |")
    print("|---|---|---|---|")
    for model in options.models:
        weights = UNTRAINED if model.startswith("torchvision/") else None
        classifier = load_classifier(model, weights=weights, device="cpu")
        localizer = DamLocalizer(Dam(kmax=KMAX), classifier)
        layer = localizer.layer.name
        batch = batch_of(classifier, options.batch)
        images = classifier.normalize(batch.pixels)
        places = positions(classifier, images, layer)
        # The peer exchanges the network's ReLU modules, so it gets a network of its own.
        peer_network = load_classifier(model, weights=weights, device="cpu").module
        peer = GuidedBackpropReLUModel(model=peer_network, device=torch.device("cpu"))
        jobs = {
            "forward": (partial(bare, classifier, images), options.batch),
            "dam": (partial(localizer.localize, batch), options.batch),
            "dam, naive": (partial(naive, classifier, images, layer), options.batch),
            "guided map": (
                partial(guided_backpropagation, classifier, images, layer, places),
                options.batch * KMAX,
            ),
            "pytorch-grad-cam guided map": (partial(peer, images[:1], target_category=0), 1),
        }
        seconds = measure({name: job for name, (job, _) in jobs.items()}, options.rounds)
        each = {name: [s / jobs[name][1] for s in values] for name, values in seconds.items()}
        for name, values in each.items():
            ratio = median(v / f for v, f in zip(values, each["forward"], strict=True))
            print(f"| {model} | {name} | {median(values):.4f} | {ratio:.2f} |", flush=True)
        for slow, fast in (("dam, naive", "dam"), ("pytorch-grad-cam guided map", "guided map")):
            ratio = median(s / f for s, f in zip(each[slow], each[fast], strict=True))
            print(f"| {model} | {slow} / {fast} | | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
