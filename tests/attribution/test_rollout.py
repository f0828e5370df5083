"""Attention roll-out against the matrices of unfused attention, multiplied by hand."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from equalities import Case
from torch import Tensor, nn
from torchvision.models import VisionTransformer

from gradbox.attribution.attention import Attentions
from gradbox.attribution.rollout import Heads, Rollout, rollout
from gradbox.errors import UsageError
from gradbox.geometry import Frame
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch
from gradbox.models.classifier import Classifier

timm = pytest.importorskip("timm")
SIDE, PATCH = 32, 8
GRID = SIDE // PATCH


def of_timm(**options: object) -> nn.Module:
    torch.manual_seed(0)
    settings = {"patch_size": PATCH, "embed_dim": 24, "depth": 3, "num_heads": 3, "num_classes": 5}
    settings |= {"img_size": SIDE, **options}
    network = timm.create_model("vit_tiny_patch16_224", pretrained=False, **settings)
    for parameter in network.parameters():  # from start, attention is nearly even
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def batch() -> Batch:
    seeded = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8, generator=seeded)
    frame = Frame.squash((SIDE, SIDE), (SIDE, SIDE))
    return Batch(image_ids=("a", "b"), pixels=pixels, frames=(frame,) * 2, labels=(None,) * 2)


def wrapped(network: nn.Module) -> Classifier:
    seen = Preprocessing(size=(SIDE, SIDE), mean=(0.5,) * 3, std=(0.5,) * 3)
    return Classifier.wrap(network, preprocessing=seen, device="cpu")


def matrices(network: nn.Module, images: Tensor) -> list[np.ndarray]:
    """What `attn_drop` of a copy of a timm network is given, once its attention is not fused."""
    seen: list[np.ndarray] = []
    slow = copy.deepcopy(network)
    for block in slow.get_submodule("blocks"):
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _m, given, _o: seen.append(given[0]))
    with torch.no_grad():
        slow(images)
    return [one.double().numpy() for one in seen]


def by_hand(attentions: list[np.ndarray], fuse: Callable[..., np.ndarray]) -> np.ndarray:
    """R of one image after another, layer by layer, each row with its own sum."""
    rolled = []
    for image in range(len(attentions[0])):
        joint = np.eye(attentions[0].shape[-1])
        for attention in attentions:
            of_heads = fuse(attention[image], axis=0)
            rows = [row / row.sum() for row in of_heads]
            joint = (0.5 * np.array(rows) + 0.5 * np.eye(len(rows))) @ joint
        rolled.append(joint)
    return np.stack(rolled)


def enlarged(patches: np.ndarray) -> np.ndarray:
    grid = torch.from_numpy(patches).reshape(1, 1, GRID, GRID)
    return F.interpolate(grid, (SIDE, SIDE), mode="bilinear")[0, 0].numpy()


@pytest.mark.parametrize("heads", ["mean", "max", "min"])
def test_the_map_is_the_class_tokens_row_of_the_product(heads: Heads) -> None:
    network, given = of_timm(), batch()
    classifier = wrapped(network)
    joint = by_hand(matrices(network, classifier.normalize(given.pixels)), getattr(np, heads))
    maps = Rollout(heads=heads).maps(classifier).maps(given)
    for row, (one,) in zip(joint[:, 0, 1:], maps, strict=True):
        np.testing.assert_allclose(one.heatmap, enlarged(row), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"class_token": False, "global_pool": "avg"}, slice(0, None)),
        ({"global_pool": "avg"}, slice(1, None)),
        ({"reg_tokens": 2}, slice(0, 1)),
        ({"class_token": False, "reg_tokens": 2, "global_pool": "avg"}, slice(2, None)),
    ],
)
def test_where_classes_are_read_from_patches_their_rows_count(
    options: dict[str, object], rows: slice
) -> None:
    """The head averages the patches, so the map is the mean over their rows."""
    network, given = of_timm(**options), batch()
    classifier = wrapped(network)
    joint = by_hand(matrices(network, classifier.normalize(given.pixels)), np.mean)
    maps = Rollout().maps(classifier).maps(given)
    for one, (found,) in zip(joint, maps, strict=True):
        expected = one[rows].mean(axis=0)[-GRID * GRID :]
        np.testing.assert_allclose(found.heatmap, enlarged(expected), rtol=1e-4)


def test_the_attention_of_torchs_own_layers_is_that_of_its_weights() -> None:
    """torchvision's network asks for no weights; a hook on a copy makes it give them."""
    torch.manual_seed(0)
    network = VisionTransformer(
        image_size=SIDE, patch_size=PATCH, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16,
        num_classes=3,
    ).eval()  # fmt: skip
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    given, classifier, seen = batch(), wrapped(network), []
    slow = copy.deepcopy(network)
    for part in slow.modules():
        if isinstance(part, nn.MultiheadAttention):

            def ask(module: nn.Module, args: tuple, kwargs: dict) -> None:
                told = {"need_weights": True, "average_attn_weights": False}
                seen.append(nn.MultiheadAttention.forward(module, *args, **{**kwargs, **told})[1])

            part.register_forward_pre_hook(ask, with_kwargs=True)
    with torch.no_grad():
        slow(classifier.normalize(given.pixels))
    joint = by_hand([one.double().numpy() for one in seen], np.mean)
    maps = Rollout().maps(classifier).maps(given)
    for row, (one,) in zip(joint[:, 0, 1:], maps, strict=True):
        np.testing.assert_allclose(one.heatmap, enlarged(row), rtol=1e-4)


def test_the_attention_of_a_network_of_transformers_is_that_of_its_queries_and_keys() -> None:
    """softmax(q k' / sqrt(8)) of what a copy's two linear layers of each block return."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=SIDE, patch_size=PATCH, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=16, num_labels=3,
    )  # fmt: skip
    network = transformers.ViTForImageClassification(config).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    given, classifier, seen = batch(), wrapped(network), {"q": [], "k": []}
    slow = copy.deepcopy(network)
    for name, part in slow.named_modules():
        kind = {"query": "q", "q_proj": "q", "key": "k", "k_proj": "k"}.get(name.split(".")[-1])
        if kind:
            part.register_forward_hook(lambda _m, _i, out, kind=kind: seen[kind].append(out))
    with torch.no_grad():
        slow(classifier.normalize(given.pixels))
    assert len(seen["q"]) == len(seen["k"]) == 2
    heads = [[one.unflatten(2, (2, 8)).transpose(1, 2) for one in seen[kind]] for kind in "qk"]
    told = [(q @ k.mT / 8**0.5).softmax(dim=-1) for q, k in zip(*heads, strict=True)]
    joint = by_hand([one.double().numpy() for one in told], np.mean)
    for row, (one,) in zip(joint[:, 0, 1:], Rollout().maps(classifier).maps(given), strict=True):
        np.testing.assert_allclose(one.heatmap, enlarged(row), rtol=1e-4)


def test_unfused_and_fused_attention_are_the_same() -> None:
    network, given = of_timm(), batch()
    slow = copy.deepcopy(network)
    for block in slow.get_submodule("blocks"):
        block.attn.fused_attn = False
    fused, unfused = (Rollout().maps(wrapped(one)).maps(given) for one in (network, slow))
    for (one,), (other,) in zip(fused, unfused, strict=True):
        np.testing.assert_allclose(one.heatmap, other.heatmap, rtol=1e-4)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", [None, torch.bool, torch.float32])
def test_a_fused_call_multiplies_the_values_by_what_is_kept(
    causal: bool, mask: torch.dtype | None
) -> None:
    """Identity values give the matrix itself: the output of torch's own kernel."""
    if causal and mask is not None:
        pytest.skip("torch takes one or the other")
    seeded = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 3, 5, 4, generator=seeded)
    given = torch.rand(5, 5, generator=seeded)
    mask_of = {None: None, torch.bool: given > 0.3, torch.float32: given}
    options = {"attn_mask": mask_of[mask], "is_causal": causal, "scale": 0.7}
    if mask is torch.bool:
        options["attn_mask"] |= torch.eye(5, dtype=torch.bool)
    with Attentions() as seen:
        output = F.scaled_dot_product_attention(
            query, key, torch.eye(5).expand(1, 3, 5, 5), **options
        )
    torch.testing.assert_close(seen.found[0], output)


def test_queries_that_share_keys_are_told_apart() -> None:
    query, key = torch.randn(1, 4, 5, 8), torch.randn(1, 2, 5, 8)
    values = torch.eye(5).expand(1, 2, 5, 5)
    with Attentions() as seen:
        output = F.scaled_dot_product_attention(query, key, values, enable_gqa=True)
    torch.testing.assert_close(seen.found[0], output)


def test_rows_of_a_roll_out_sum_to_one() -> None:
    """Each row says of what a token is made, so it is a share of each."""
    attentions = [torch.rand(2, 3, 6, 6).softmax(dim=-1) for _ in range(4)]
    for heads in ("mean", "max", "min"):
        torch.testing.assert_close(rollout(attentions, heads).sum(dim=-1), torch.ones(2, 6))


def test_the_users_network_stays_as_it_was() -> None:
    network, given = of_timm(), batch()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    logits = network(wrapped(network).normalize(given.pixels))
    Rollout().maps(wrapped(network)).maps(given)
    assert all(block.attn.fused_attn for block in network.get_submodule("blocks"))
    assert not any(part._forward_hooks for part in network.modules())
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert torch.equal(network(wrapped(network).normalize(given.pixels)), logits)


def test_threads_see_their_own_attention_alone() -> None:
    """Four images at once on one network give the maps that each gives alone."""
    classifier = wrapped(of_timm())
    maker, given = Rollout().maps(classifier), batch()

    def heatmap(image: int) -> np.ndarray:
        ((one,),) = maker.maps(given.only([image]))
        return one.heatmap

    alone = [heatmap(i % 2) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(heatmap, [i % 2 for i in range(8)]))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize("network", ["plain", "swin transformer"])
def test_a_network_without_attention_among_all_tokens_is_refused(network: str) -> None:
    """A CNN has none, a Swin's is among the tokens of a window."""
    case = Case.of(network)
    with pytest.raises(UsageError, match=r"use 'gradcam' or 'sensitivity'") as error:
        Rollout().maps(case.classifier).maps(case.batch)
    assert "\n" not in str(error.value)
