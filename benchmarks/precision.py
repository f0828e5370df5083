r"""What numbers and layouts change of boxes: the share that moves, against float64 as loaded.

Expected: float32 in any form moves none by more than 2 % of a side; half precision moves some.

    python benchmarks/precision.py csv:$GRADBOX_ASSETS/data/imagenet_dev efficientnet_lite0 \
        $GRADBOX_ASSETS/models/mobilenet_v2_tf.toml --limit 60

A box moves by the largest change of its four sides, over the width or height of the image; 1/224
is a pixel of the input. The class is the recognized one, of each form its own.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gradbox.datasets import load_dataset
from gradbox.localization import Localization, Sample
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.runner import Computing, Runner
from gradbox.pipeline import localize
from gradbox.runs.evaluation import Part

FORMS = {
    "float64, as loaded": {"dtype": "float64", "faster": False},
    "float64": {"dtype": "float64"},
    "float32, as loaded": {"faster": False},
    "float32, contiguous": {"memory_format": "contiguous"},
    "float32": {},
    "float32, compiled": {"compiled": True},
    "bfloat16": {"dtype": "bfloat16"},
    "float16": {"dtype": "float16"},
}


def load(model: str, form: dict[str, object]) -> Classifier:
    if form.get("dtype") != "float16":
        return load_classifier(model, device="cpu", **form)  # type: ignore[arg-type]
    # Refused on a CPU, where it is slow; its numbers can be looked at.
    plain = load_classifier(model, device="cpu")
    computing = Computing(plain.device, torch.float16, "channels_last")
    runner = Runner(plain.module, plain.preprocessing, computing, model)
    return replace(plain, module=runner.loaded, dtype=torch.float16, runner=runner)


def boxes(classifier: Classifier, samples: list[Sample], method: str) -> list[Localization]:
    found = list(localize(samples, classifier, method=method, batch_size=10))
    return [one for one in found if isinstance(one, Localization)]


def moves(found: Localization, reference: Localization) -> float:
    height, width = reference.size
    return float(np.abs((found.boxes[0] - reference.boxes[0]) / ([width, height] * 2)).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--method", default="sensitivity")
    parser.add_argument("--without", nargs="*", default=[], choices=FORMS)
    options = parser.parse_args()
    samples = Part(limit=options.limit).of(load_dataset(options.dataset).samples)
    print("| network | numbers | another class | moved > 1 pixel | moved > 2 % | largest move |")
    print("|---|---|---|---|---|---|")
    for model in options.models:
        reference: list[Localization] = []
        for name in (name for name in FORMS if name not in options.without):
            found = boxes(load(model, FORMS[name]), samples, options.method)
            reference = reference or found
            pairs = list(zip(found, reference, strict=True))
            by = np.array([moves(*pair) for pair in pairs])
            other = np.mean([one.labels != same.labels for one, same in pairs])
            shares = (
                f"{100 * share:.1f} %"
                for share in (other, *((by > x).mean() for x in (1 / 224, 0.02)))
            )
            print(
                f"| {Path(model).stem} | {name} |",
                " | ".join(shares),
                f"| {100 * by.max():.2f} % |",
                flush=True,
            )


if __name__ == "__main__":
    main()
