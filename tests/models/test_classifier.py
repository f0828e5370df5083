import copy
from dataclasses import replace
from pathlib import Path

import networks
import pytest
import torch
from torch import nn

from gradbox.attribution.gradients import input_gradient
from gradbox.errors import UsageError
from gradbox.images.preprocessing import Preprocessing
from gradbox.models.classifier import Classifier
from gradbox.models.load import load_classifier
from gradbox.models.names import imagenet1k_names, imagenet1k_wnids

NAMES = ("cat", "Dog", "crane", "crane")


def named(names: tuple[str, ...] = NAMES, wnids: tuple[str, ...] = ()) -> Classifier:
    return networks.classifier(class_names=names, wnids=wnids, name="pets")


def test_a_class_is_found_by_wnid_then_name_then_index():
    classifier = named(("n1", "cat", "0"), wnids=("n0", "n1", "n2"))
    assert classifier.class_index("n1") == 1  # the wnid, not the name of class 0
    assert classifier.class_index("CAT") == 1
    assert classifier.class_index("0") == 2  # the name, not the index
    assert classifier.class_index("1") == 1


def test_without_names_any_index_is_taken():
    assert named(()).class_index("17") == 17
    assert named(()).class_name(17) == "17"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cta", r"pets has no class 'cta' \(did you mean cat .*an index below 4"),
        ("crane", "'crane' stands for several classes: give 2 or 3"),
        ("4", "no class '4'"),
        ("-1", "no class '-1'"),
        ("²", "no class '²'"),
        ("", "no class ''"),
    ],
)
def test_a_class_that_is_not_there_is_refused_with_what_there_is(text: str, message: str):
    with pytest.raises(UsageError, match=message):
        named().class_index(text)


def test_names_of_classes():
    classifier = named()
    assert [classifier.class_name(i) for i in (0, 1, 9, None)] == ["cat", "Dog", "9", "object"]


def test_imagenet_has_1000_names_and_wnids_in_the_same_order():
    # Known pairs: WordNet's n01440764 is the tench, n15075141 the toilet tissue.
    names, wnids = imagenet1k_names(), imagenet1k_wnids()
    assert len(names) == len(wnids) == len(set(wnids)) == 1000
    assert (wnids[0], names[0]) == ("n01440764", "tench")
    assert (wnids[999], names[999]) == ("n15075141", "toilet tissue")
    assert list(wnids) == sorted(wnids)


def test_the_copy_shares_the_weights_and_nothing_else():
    net = networks.network().train()
    own = networks.classifier(net, dtype="float32").module
    assert own.head.weight.data_ptr() == net.head.weight.data_ptr()
    assert own.features[1].running_mean.data_ptr() == net.features[1].running_mean.data_ptr()
    assert not any(p.requires_grad for p in own.parameters())
    assert not any(m.training for m in own.modules())
    assert all(p.requires_grad for p in net.parameters())
    assert all(m.training for m in net.modules())
    own.head.register_forward_hook(print)
    assert not net.head._forward_hooks


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_another_dtype_is_computed_on_a_copy(dtype: str):
    net = networks.network()
    before = copy.deepcopy(net.state_dict())
    assert networks.classifier(net, dtype=dtype).module.head.weight.dtype == getattr(torch, dtype)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in before.items())


def test_channels_last_reaches_weights_and_input():
    classifier = networks.classifier(dtype="float32", memory_format="channels_last")
    values = classifier.normalize(networks.pixels(2))
    assert values.is_contiguous(memory_format=torch.channels_last)
    assert values.shape == (2, 3, *networks.SIZE)
    plain = networks.classifier(dtype="float32").normalize(networks.pixels(2))
    assert plain.is_contiguous()
    assert torch.equal(values, plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "unknown device 'gpu': use cpu, cuda"),
        ({"device": "xpu"}, "'xpu' is not available here"),
        ({"dtype": "float31"}, r"unknown dtype 'float31' \(did you mean float32"),
        ({"dtype": "float16"}, "float16 is slow and coarse on a cpu: use float32 or bfloat16"),
    ],
)
def test_devices_and_dtypes_that_cannot_be_are_refused(options: dict[str, str], message: str):
    with pytest.raises(UsageError, match=message):
        Classifier.wrap(networks.network(), **{"device": "cpu", **options})


def test_a_module_that_does_not_copy_is_explained():
    net = networks.network()
    net.kept = net.head.weight * 2  # a tensor with a history
    with pytest.raises(UsageError, match="the module cannot be copied"):
        networks.classifier(net)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_a_module_wrapped_or_made_inside_inference_mode_can_be_differentiated(
    dtype: str, memory_format: str
):
    outside = networks.network()
    with torch.inference_mode():
        made = networks.classifier(dtype=dtype, memory_format=memory_format)
        wrapped = networks.classifier(outside, dtype=dtype, memory_format=memory_format)
    plain = networks.classifier(outside, dtype=dtype, memory_format=memory_format)
    expected, *others = [
        input_gradient(c, c.normalize(networks.pixels(2)), lambda out: out.logits[:, 1])
        for c in (plain, made, wrapped)
    ]
    assert all(torch.equal(expected, other) for other in others)


def test_weights_shared_between_layers_stay_shared():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight = a.weight
    own = networks.classifier(nn.Sequential(a, b)).module
    assert own[0].weight is own[1].weight


def test_with_layer_overrides_and_none_keeps():
    classifier = networks.classifier(layer="features.4")
    assert classifier.with_layer(None).layer == "features.4"
    assert classifier.with_layer("features").layer == "features"


def test_a_layer_that_is_not_there_is_refused_wherever_it_is_named():
    message = r"no layer 'featurs' \(did you mean features"
    with pytest.raises(UsageError, match=message):
        networks.classifier(layer="featurs")
    with pytest.raises(UsageError, match=message):
        networks.classifier().with_layer("featurs")


def test_the_text_of_a_classifier_is_one_line(assets: Path):
    # The module's own text has a line for each of its layers.
    classifier = load_classifier(str(assets / "models" / "squeezenet1_1.toml"), device="cpu")
    assert len(repr(classifier.module).splitlines()) > 50
    assert repr(replace(classifier, name="squeezenet")) == (
        "<Classifier squeezenet: 1000 class names, input 224 x 224, torch.float32 on cpu>"
    )


def test_whether_a_network_takes_another_size_is_tried_once() -> None:
    class Fixed(nn.Module):
        """A linear layer on all of 8 x 8 pixels, which counts how often it is run."""

        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3 * 8 * 8, 2)
            self.register_buffer("runs", torch.zeros(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.runs += 1
            return self.linear(images.flatten(1))

    classifier = Classifier.wrap(Fixed(), preprocessing=Preprocessing(size=(8, 8)), device="cpu")
    assert [classifier.takes(side) for side in (8, 12, 12, 8)] == [True, False, False, True]
    assert float(classifier.module.runs) == 2
