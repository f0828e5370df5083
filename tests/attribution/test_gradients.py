from collections.abc import Callable

import networks
import pytest
import torch
from torch import Tensor, nn

from gradbox.attribution.gradients import (
    Outputs,
    forward,
    gradient,
    input_gradient,
    trace,
)
from gradbox.attribution.targets import class_score, layer_mean
from gradbox.errors import UsageError
from gradbox.models.classifier import Classifier
from gradbox.models.outputs import as_logits

LABELS = torch.tensor([4, 1])


def squared_channel(outputs: Outputs) -> Tensor:
    """A user's function: it mixes a layer, the logits and the pixels."""
    channel = outputs.activations["features"][:, 2].square().sum(dim=(1, 2))
    return channel * outputs.logits[:, 0].sigmoid() + outputs.images[:, 1, 3, 3] ** 3


TARGETS: dict[str, Callable[[Outputs], Tensor]] = {
    "logit": lambda out: class_score(out.logits, LABELS),
    "probability": lambda out: class_score(out.logits, LABELS, "probability"),
    "layer mean": lambda out: layer_mean(out.activations["features"]),
    "a user's function": squared_channel,
}


def images(classifier: Classifier, count: int = 2) -> Tensor:
    return classifier.normalize(networks.pixels(count))


@pytest.mark.parametrize("name", TARGETS)
def test_gradient_equals_a_finite_difference_estimate(name: str):
    classifier = networks.classifier()
    x = images(classifier)

    def scalars(moved: Tensor) -> Tensor:
        return TARGETS[name](forward(classifier, moved, layers=["features"])).detach()

    ours = input_gradient(classifier, x, TARGETS[name], layers=["features"])
    generator = torch.Generator().manual_seed(1)
    step = 1e-6
    for index in torch.randint(x[0].numel(), (40,), generator=generator).tolist():
        moved = torch.zeros_like(x)
        moved.view(2, -1)[:, index] = step
        estimate = (scalars(x + moved) - scalars(x - moved)) / (2 * step)
        torch.testing.assert_close(ours.view(2, -1)[:, index], estimate, rtol=1e-6, atol=1e-9)
    assert (ours != 0).any(dim=(1, 2, 3)).all()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_mode_of_the_caller_does_not_matter(mode: Callable[[], torch.no_grad]):
    classifier = networks.classifier()
    expected = input_gradient(classifier, images(classifier), squared_channel, layers=["features"])
    with mode():
        inside = input_gradient(
            classifier, images(classifier), squared_channel, layers=["features"]
        )
        assert not torch.is_grad_enabled()
    assert torch.equal(inside, expected)


def test_the_images_given_are_not_written_to_and_require_no_gradient():
    # The network's ReLU is in place: the copy takes it.
    classifier = networks.classifier(nn.Sequential(nn.ReLU(inplace=True), *networks.network()))
    x = images(classifier)
    before = x.clone()
    input_gradient(classifier, x, lambda out: out.logits[:, 0])
    assert torch.equal(x, before)
    assert not x.requires_grad


def test_without_the_head_the_pass_stops_at_the_last_layer_asked_for():
    net = networks.network()
    net.head = networks.Raising()
    classifier = networks.classifier(net)
    outputs = forward(
        classifier, images(classifier), layers=["features.4", "features.0"], head=False
    )
    assert outputs.logits is None
    assert set(outputs.activations) == {"features.0", "features.4"}
    with pytest.raises(RuntimeError, match="was run"):
        forward(classifier, images(classifier))
    with pytest.raises(ValueError, match="at least one layer"):
        forward(classifier, images(classifier), head=False)


def test_a_layer_is_recorded_as_it_was_when_it_ran():
    classifier = networks.classifier()
    # A ReLU in place follows features.1: the record keeps its negative numbers, head or not.
    outputs = [
        forward(classifier, images(classifier), layers=["features.1"], head=head)
        for head in (True, False)
    ]
    before, stopped = (out.activations["features.1"] for out in outputs)
    assert torch.equal(before, stopped)
    assert (before < 0).any()
    # It is part of the graph: the logits can be differentiated with regard to it.
    assert gradient(outputs[0].logits[:, 0], before).any()


@pytest.mark.parametrize(
    ("name", "message"),
    [("featurs", r"no layer 'featurs' \(did you mean features"), ("", "no layer ''")],
)
def test_an_unknown_layer_is_named_with_the_nearest(name: str, message: str):
    classifier = networks.classifier()
    with pytest.raises(UsageError, match=message):
        forward(classifier, images(classifier), layers=[name])


def test_a_layer_that_runs_twice_is_refused():
    conv = nn.Conv2d(3, 3, 1)
    net = nn.Sequential(conv, conv, nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, 3, *networks.SIZE))
    classifier = networks.classifier(net)
    with pytest.raises(UsageError, match="'0' runs more than once a pass"):
        forward(classifier, images(classifier), layers=["0"])


def test_one_backward_pass_of_the_sum_gives_each_images_own_gradient():
    # By hand: d(x_i ** 2 * c_i) / dx_i = 2 x_i c_i.
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    scalars = (x.square() * torch.tensor([[1.0], [10.0]])).sum(dim=1)
    assert gradient(scalars, x, keep=True).tolist() == [[2, 4], [60, 80]]
    assert gradient(scalars, x).tolist() == [[2, 4], [60, 80]]  # `keep` kept the graph


def test_half_precision_gradients_come_back_as_float32_without_vanishing():
    # 1e-8 is below float16's smallest number; scaled on its way, it arrives.
    x = torch.ones(1, 2, dtype=torch.float16, requires_grad=True)
    scalars = ((x * 1e-4) * 1e-4).sum(dim=1)
    result = gradient(scalars, x)
    assert result.dtype == torch.float32
    assert result.flatten().tolist() == pytest.approx([1e-8, 1e-8], rel=0.01)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (lambda out: out.logits.sum(), r"returned \(\) of float64: it gives one number per image"),
        (lambda out: out.logits, r"returned \(2, 6\)"),
        (lambda out: out.logits[:1, 0], r"returned \(1,\)"),
        (lambda out: torch.zeros(2), "does not depend on the image"),
        (lambda out: out.logits[:, 0].detach(), "does not depend on the image"),
        (lambda out: 1.0, "returned float"),
    ],
)
def test_a_target_that_is_not_one_scalar_an_image_is_explained(
    target: Callable[[Outputs], Tensor], message: str
):
    classifier = networks.classifier()
    with pytest.raises(UsageError, match=message):
        input_gradient(classifier, images(classifier), target)


def test_logits_are_found_in_tuples_and_objects():
    class Output:
        logits = torch.zeros(2, 3)

    assert as_logits((torch.ones(2, 3), "more")).sum() == 6
    assert as_logits(Output()).shape == (2, 3)


@pytest.mark.parametrize("output", [torch.zeros(2, 3, 4, 4), {"a": 1}, None])
def test_what_is_no_classifiers_output_is_refused(output: object):
    with pytest.raises(UsageError, match=r"a classifier returns \(batch, classes\)"):
        as_logits(output)


def test_trace_names_modules_in_the_order_in_which_they_end():
    classifier = networks.classifier()
    names = [call.name for call in trace(classifier, images(classifier, 1))]
    assert names[:7] == [*(f"features.{i}" for i in range(5)), "features", "pool"]
    assert names[-1] == ""
    assert not any(module._forward_hooks for module in classifier.module.modules())
