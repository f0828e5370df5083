"""How long `gradbox locate` takes for one image, beside the least that any program would need.

    python benchmarks/startup.py [--model SPEC] [--rounds 5]

The least: a new process that imports torch, builds the model with its weights and makes one map.
Each is a new process; the two take turns, so that a busy machine slows both.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

LEAST = """
import sys
import torch
from gradbox.models.load import load_classifier
classifier = load_classifier(sys.argv[1])
images = torch.zeros((1, 3, *classifier.preprocessing.size), requires_grad=True)
torch.autograd.grad(classifier.module(images).max(), images)
"""


def seconds(command: list[str]) -> float:
    """The time of a command from start to end."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    gradbox = [sys.executable, "-m", "gradbox.cli"]
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "image.jpg")
        pixels = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(image)
        commands = {
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
            "import torch, build the model, one map": [sys.executable, "-c", LEAST, options.model],
            "gradbox locate IMAGE": [*gradbox, "locate", str(image), "--model", options.model],
            "gradbox --help": [*gradbox, "--help"],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, command in commands.items():
                taken[name].append(seconds(command))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        print(f"{median:6.2f} s  {name}")
    _, least, locate, _ = medians.values()
    print(f"{locate / least:6.2f}    locate over the least")


if __name__ == "__main__":
    main()
