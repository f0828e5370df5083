from pathlib import Path

import networks
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradbox.attribution.gradients import Outputs, input_gradient
from gradbox.attribution.localizer import MapLocalizer
from gradbox.attribution.sensitivity import Sensitivity
from gradbox.attribution.targets import class_score
from gradbox.errors import ImageError, UsageError
from gradbox.estimators.untrained import Mass, Whole
from gradbox.localization import Selection
from gradbox.methods import METHODS, ready
from gradbox.models.load import load_classifier
from gradbox.specs import build

CLASSIFIER = networks.classifier()
NONE = Selection(top=0)
TARGET = """
def brightest(outputs):
    loaded.append(len(outputs.images))
    return outputs.logits.amax(dim=1)

loaded = []
assert not globals().get("ran"), "the file is run once"
ran = True
"""


def maps_of(options: Sensitivity, batch, classifier=CLASSIFIER):
    return options.maps(classifier).maps(batch)


def by_hand(pixels: Tensor, label: int, how: str = "mean", score: str = "logit") -> np.ndarray:
    """The map of one class, each image alone, straight from the one derivative."""
    attribution = input_gradient(
        CLASSIFIER,
        CLASSIFIER.normalize(pixels),
        lambda out: class_score(out.logits, torch.full((len(pixels),), label), score),
    ).abs()
    return (attribution.mean(dim=1) if how == "mean" else attribution.amax(dim=1)).numpy()


@pytest.mark.parametrize("how", ["mean", "max"])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_a_given_class_has_the_map_of_its_score(how: str, score: str):
    pixels = networks.pixels(2)
    found = maps_of(
        Sensitivity(reduce=how, score=score), networks.batch(pixels, labels=[(4,), (4,)])
    )
    for i, (one,) in enumerate(found):
        assert one.label == 4
        np.testing.assert_array_equal(one.heatmap, by_hand(pixels, 4, how, score)[i])


def test_several_classes_have_a_map_each_main_class_first():
    # The second image has fewer classes than the first: nothing of the first's may reach it.
    pixels = networks.pixels(2)
    found = maps_of(Sensitivity(), networks.batch(pixels, labels=[(5, 0, 3), (2,)]))
    assert [[m.label for m in maps] for maps in found] == [[5, 0, 3], [2]]
    for i, maps in enumerate(found):
        for one in maps:
            np.testing.assert_allclose(one.heatmap, by_hand(pixels, one.label)[i], atol=1e-15)


def test_the_recognized_classes_are_selected_by_top_and_near_top():
    pixels = networks.pixels(3)
    with torch.no_grad():
        network = CLASSIFIER.runner.network()
        probabilities = network(CLASSIFIER.normalize(pixels)).softmax(dim=1)
    order = probabilities.argsort(dim=1, descending=True)
    near = 0.5
    for selection in (Selection(), Selection(top=3), Selection(top=0, near_top=near)):
        found = maps_of(Sensitivity(), networks.batch(pixels, selection=selection))
        for i, maps in enumerate(found):
            wanted = selection.top
            if selection.near_top:
                wanted = int((probabilities[i] >= near * probabilities[i].max()).sum())
            assert [m.label for m in maps] == order[i, :wanted].tolist()
            assert [m.label_score for m in maps] == probabilities[i, order[i, :wanted]].tolist()
            assert maps[0].top_labels == tuple(order[i, :5].tolist())


def test_the_attention_map_never_runs_the_head_and_knows_no_class():
    net = networks.network()
    net.head = networks.RaisingAtWork()
    classifier = networks.classifier(net)
    batch = networks.batch(networks.pixels(2), selection=NONE)
    found = maps_of(Sensitivity(target="layer_mean"), batch, classifier)
    for maps in found:
        (one,) = maps
        assert (one.label, one.label_score, one.top_labels) == (None, 1.0, ())
        assert one.heatmap.any()
    with pytest.raises(RuntimeError, match="was run"):
        maps_of(Sensitivity(), networks.batch(networks.pixels(2)), classifier)


def test_the_attention_map_is_the_same_whatever_the_class():
    pixels = networks.pixels(2)
    options = Sensitivity(target="layer_mean", reduce="max")
    without = maps_of(options, networks.batch(pixels, selection=NONE))
    given = maps_of(options, networks.batch(pixels, labels=[(1, 2), (3,)]))
    for (plain,), labelled in zip(without, given, strict=True):
        for one in labelled:
            np.testing.assert_array_equal(one.heatmap, plain.heatmap)
    assert [m.label for m in given[0]] == [1, 2]


def test_the_layer_of_the_attention_map_can_be_named():
    batch = networks.batch(networks.pixels(1), selection=NONE)
    makers = [
        Sensitivity(target="layer_mean", layer=name).maps(CLASSIFIER)
        for name in (None, "features", "features.0")
    ]
    assert [maker._layers[0].name for maker in makers] == ["features", "features", "features.0"]
    default, same, other = (maker.maps(batch)[0][0].heatmap for maker in makers)
    assert (default == same).all()
    assert (default != other).any()


def test_any_scalar_function_may_be_the_target():
    def entropy(outputs: Outputs) -> Tensor:
        p = outputs.logits.softmax(dim=1)
        return -(p * p.log()).sum(dim=1) + outputs.activations["features.0"].mean(dim=(1, 2, 3))

    pixels = networks.pixels(2)
    maps = Sensitivity(target=entropy, layer="features.0").maps(CLASSIFIER)
    expected = input_gradient(
        CLASSIFIER, CLASSIFIER.normalize(pixels), entropy, layers=["features.0"]
    )
    for i, (one,) in enumerate(maps.maps(networks.batch(pixels, selection=NONE))):
        np.testing.assert_array_equal(one.heatmap, expected[i].abs().mean(dim=0).numpy())


def test_a_function_in_a_file_is_named_in_the_spec_and_loaded_once(tmp_path: Path):
    (tmp_path / "my targets.py").write_text(TARGET)
    text = f'sensitivity(target="{tmp_path}/my targets.py:brightest")'
    localizer = ready(text, "whole", CLASSIFIER).localizer
    best = ready("sensitivity", "whole", CLASSIFIER).localizer
    for seed in (0, 1):
        batch = networks.batch(networks.pixels(2, seed=seed))
        # The highest logit is the recognized class's: the same map by another way.
        ours, theirs = localizer.maker.maps(batch), best.maker.maps(batch)
        for (one,), (other,) in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one.heatmap, other.heatmap)
    assert localizer.maker.options.target.__globals__["loaded"] == [2, 2]


@pytest.mark.parametrize("text", ["sensitivity(clas_score)", "sensitivity(target=x.txt:f)"])
def test_a_target_that_is_none_is_refused(text: str):
    with pytest.raises(UsageError, match=r"is not class_score, layer_mean or path"):
        build(text, METHODS)


@pytest.mark.parametrize("labels", [None, [(1,), None]])
def test_a_class_score_without_a_class_is_explained(labels: list[tuple[int, ...] | None] | None):
    batch = networks.batch(networks.pixels(2), labels=labels, selection=NONE)
    with pytest.raises(UsageError, match=r"needs a class: .*target=layer_mean"):
        maps_of(Sensitivity(), batch)


def test_an_image_that_makes_nan_is_an_error_and_the_rest_of_the_batch_is_fine():
    net = nn.Sequential(networks.NanWhereDark(), *networks.network())
    classifier = networks.classifier(net)
    pixels = networks.pixels(3)
    pixels[1] = 0  # black: its normalized mean is below -1
    localizer = MapLocalizer(Sensitivity().maps(classifier), Mass())
    for selection in (Selection(), Selection(top=0, near_top=0.5)):
        found = localizer.localize(networks.batch(pixels, selection=selection))
        assert [isinstance(one, ImageError) for one in found] == [False, True, False]
        assert "NaN" in str(found[1])
        alone = localizer.localize(networks.batch(pixels[[0, 2]], selection=selection))
        for one, other in zip((found[0], found[2]), alone, strict=True):
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-9)


def test_a_network_that_is_nan_everywhere_is_an_error_for_every_image():
    net = networks.network()
    with torch.no_grad():
        net.features[0].weight[0, 0, 0, 0] = torch.nan
    for options, selection in (
        (Sensitivity(), Selection()),
        (Sensitivity("layer_mean"), NONE),
    ):
        batch = networks.batch(networks.pixels(2), selection=selection)
        found = maps_of(options, batch, networks.classifier(net))
        assert all(isinstance(one, ImageError) for one in found)


@pytest.mark.parametrize("target", ["class_score", "layer_mean"])
def test_a_map_is_the_same_alone_and_in_any_batch(target: str):
    pixels = networks.pixels(5)
    options = Sensitivity(target=target)
    together = maps_of(options, networks.batch(pixels, labels=[(i,) for i in range(5)]))
    for i in range(5):
        ((alone,),) = maps_of(options, networks.batch(pixels[i : i + 1], labels=[(i,)]))
        np.testing.assert_allclose(together[i][0].heatmap, alone.heatmap, atol=1e-10)


def test_details_add_the_heatmap_and_nothing_else():
    batch = networks.batch(networks.pixels(1), labels=[(2,)])
    localizer = MapLocalizer(Sensitivity().maps(CLASSIFIER), Whole())
    (plain,), (detailed,) = localizer.localize(batch), localizer.localize(batch, details=True)
    assert plain.heatmap is None
    np.testing.assert_array_equal(detailed.heatmap, by_hand(batch.pixels, 2)[0])
    assert plain.boxes.tolist() == detailed.boxes.tolist() == [[0, 0, 10, 14]]
    assert plain.labels == (2,)


@pytest.mark.parametrize("options", [Sensitivity(), Sensitivity(target="layer_mean")])
def test_a_vision_transformer_end_to_end(options: Sensitivity):
    pytest.importorskip("timm")
    classifier = load_classifier("timm/vit_tiny_patch16_224", weights="untrained", device="cpu")
    selection = NONE if options.target == "layer_mean" else Selection()
    batch = networks.batch(networks.pixels(2, (224, 224)), selection=selection)
    found = MapLocalizer(options.maps(classifier), Mass()).localize(batch, details=True)
    for one in found:
        assert one.heatmap.shape == (224, 224)
        # Every patch has a gradient: 14 x 14 cells of 16 pixels.
        assert one.heatmap.reshape(14, 16, 14, 16).max(axis=(1, 3)).min() > 0
        assert 0 < one.scores[0] <= 1


def test_bfloat16_gives_maps_near_those_of_float32():
    # bfloat16 has 8 bits: a relative error of some percent of the map's size is its own.
    batch = networks.batch(networks.pixels(4), labels=[(1,)] * 4)
    full, half = (
        maps_of(Sensitivity(), batch, networks.classifier(dtype=dtype))
        for dtype in ("float32", "bfloat16")
    )
    for (one,), (other,) in zip(full, half, strict=True):
        assert other.heatmap.dtype == np.float32
        assert np.corrcoef(one.heatmap.ravel(), other.heatmap.ravel())[0, 1] > 0.95
