"""`--compile`: the network as it is, is the reference."""

from collections.abc import Callable
from typing import Any

import networks
import pytest
import torch
from torch import Tensor, nn

from gradbox.attribution.guided import GuidedReLUs
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.errors import GradboxWarning
from gradbox.models.classifier import Classifier
from gradbox.models.compiling import Compiled


def heatmaps(classifier: Classifier, count: int) -> Tensor:
    """The maps of two classes of each image: the graph is used twice."""
    batch = networks.batch(networks.pixels(count), labels=[(0, 1)] * count)
    found = Sensitivity().maps(classifier).maps(batch)
    return torch.stack([torch.from_numpy(one.heatmap) for maps in found for one in maps])


@pytest.mark.slow  # a compiler at work
def test_a_compiled_network_gives_the_same_maps():
    compiled, plain = (networks.classifier(dtype="float32", compiled=one) for one in (True, False))
    for count in (3, 2):
        expected = heatmaps(plain, count)
        assert torch.allclose(heatmaps(compiled, count), expected, rtol=1e-4, atol=1e-7)
    assert compiled.runner.network(whole=True)._compiled is not None


@pytest.mark.slow  # half of what compiles is imported
def test_without_a_compiler_it_is_run_as_it_is_and_says_why():
    from torch._inductor import config

    torch._dynamo.reset()
    compiled, plain = (networks.classifier(dtype="float32", compiled=one) for one in (True, False))
    why = "module is not compiled but run as it is: .*No working C++ compiler found"
    with config.patch({"cpp.cxx": ("no-such-compiler",)}):
        with pytest.warns(GradboxWarning, match=why.replace("+", r"\+")) as warned:
            found = heatmaps(compiled, 2)
        assert torch.equal(heatmaps(compiled, 2), found)  # and does not say it again
    assert len([one for one in warned if one.category is GradboxWarning]) == 1
    assert torch.equal(found, heatmaps(plain, 2))


def fake(seen: list[int], error: Exception | None = None) -> Callable[..., Any]:
    """A `torch.compile` that notes how many images come, and may fail."""

    def compile_(module: nn.Module, **_options: object) -> Callable[[Tensor], Tensor]:
        def run(images: Tensor) -> Tensor:
            seen.append(len(images))
            if error is not None:
                raise error
            return module(images)

        return run

    return compile_


def test_batches_are_filled_up_to_the_largest_of_their_size(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    monkeypatch.setattr(torch, "compile", fake(seen))
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    compiled = Compiled(net, "net")
    small = {n: torch.rand(n, 3, 2, 2) for n in (2, 4, 3)}
    for images in (*small.values(), torch.rand(1, 3, 5, 5)):
        assert torch.equal(compiled(images), net(images))
    assert seen == [2, 4, 4, 1]


def test_what_is_filled_up_keeps_its_layout(monkeypatch: pytest.MonkeyPatch):
    # In another layout than the weights' everything is copied to and fro: 9 passes in place of 2.
    monkeypatch.setattr(torch, "compile", fake([]))
    compiled = Compiled(nn.ReLU(), "net")
    for count in (3, 2):
        images = torch.rand(count, 3, 4, 4).contiguous(memory_format=torch.channels_last)
        assert compiled(images).is_contiguous(memory_format=torch.channels_last)


def test_an_error_of_the_network_itself_is_raised(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch, "compile", fake([], ValueError("by the compiler")))
    compiled = Compiled(networks.Raising(RuntimeError), "net")
    with pytest.raises(RuntimeError, match="was run"):
        compiled(torch.rand(1, 3, 2, 2))


def test_what_looks_inside_runs_the_network_itself(monkeypatch: pytest.MonkeyPatch):
    seen: list[int] = []
    monkeypatch.setattr(torch, "compile", fake(seen))
    runner = networks.classifier(compiled=True).runner
    assert not isinstance(runner.network(["features"]), Compiled)
    assert not isinstance(runner.network(), Compiled)
    with GuidedReLUs():  # which sees calls, as attention is found, too
        runner.network(whole=True)(torch.rand(1, 3, 14, 10, dtype=torch.float64))
    assert seen == []
