"""What a class's neurons see: the plain beside the guided gradient of a neuron (B, figure 2).

    python benchmarks/neurons.py photo.jpg --out neurons.jpg

The neurons are those of `dam`: the ones of its layer that speak most for the class. A gradient is
drawn with its three colours around grey, divided by the 99.8 % quantile of its absolute values.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gradbox.attribution.gradients import Rule, forward
from gradbox.dam.neurons import (
    guided_backpropagation,
    layer_gradient_x_activation,
    neuron_layer,
    top_neurons,
)
from gradbox.images.decode import load_rgb
from gradbox.models.classifier import Classifier
from gradbox.models.efficientnet_lite import DEFAULT_MODEL
from gradbox.models.load import load_classifier
from gradbox.reports.drawing import contact_sheet, save_picture

RULES: tuple[Rule, ...] = ("plain", "guided")


def figure(photograph: Path, classifier: Classifier, label: str | None, count: int) -> np.ndarray:
    """A row a neuron: its place in the photograph, its plain and its guided gradient."""
    resized, _ = classifier.preprocessing.resized(load_rgb(photograph))
    images = classifier.normalize(torch.from_numpy(resized)[None])
    layer = neuron_layer(classifier)
    outputs = forward(classifier, images, layers=[layer.name], by="layers")
    assert outputs.logits is not None
    asked = int(outputs.logits.argmax()) if label is None else classifier.class_index(label)
    ranks = layer_gradient_x_activation(outputs, layer.name, torch.tensor([asked]))
    scores, neurons = top_neurons(ranks, count, overlap=0.5)
    seen = {
        rule: guided_backpropagation(classifier, images, layer.name, neurons, rule=rule)[0]
        for rule in RULES
    }
    panels = []
    for i, (score, neuron) in enumerate(zip(scores[0], neurons[0], strict=True)):
        channel, row, column = neuron.tolist()
        name = f"channel {channel} at {row}, {column}: {score:.2f}"
        marked = _marked(resized.transpose(1, 2, 0), row, column, layer.shape[1])
        panels += [(name, marked), *((rule, _coloured(seen[rule][i])) for rule in RULES)]
    return contact_sheet(panels, columns=1 + len(RULES))


def _marked(rgb: np.ndarray, row: int, column: int, rows: int) -> np.ndarray:
    """The photograph with a square around the place of the neuron."""
    marked, cell = rgb.copy(), rgb.shape[0] / rows
    top, left = (round(i * cell) for i in (row, column))
    bottom, right = (round((i + 1) * cell) for i in (row, column))
    for rows_, columns_ in (
        (slice(top, bottom), slice(left, left + 2)),
        (slice(top, bottom), slice(right - 2, right)),
        (slice(top, top + 2), slice(left, right)),
        (slice(bottom - 2, bottom), slice(left, right)),
    ):
        marked[rows_, columns_] = (232, 17, 45)
    return marked


def _coloured(attribution: Tensor) -> np.ndarray:
    values = attribution.cpu().numpy().transpose(1, 2, 0)
    top = np.quantile(np.abs(values), 0.998) or 1.0
    return (np.clip(0.5 + values / (2 * top), 0, 1) * 255).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photograph", type=Path)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--label")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("neurons.jpg"))
    options = parser.parse_args()
    classifier = load_classifier(options.model)
    save_picture(options.out, figure(options.photograph, classifier, options.label, options.count))
    print(f"{options.photograph}: {options.out}")


if __name__ == "__main__":
    main()
