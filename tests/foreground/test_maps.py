"""The method `foreground`: sizes, flips, classes, parts of images, and in combinations."""

from collections.abc import Iterator

import heads
import networks
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gradbox.attribution import passes as passes_file
from gradbox.attribution.gradients import forward
from gradbox.errors import UsageError
from gradbox.foreground import head as head_file
from gradbox.foreground.maps import Foreground
from gradbox.images.preprocessing import Preprocessing
from gradbox.localization import Batch, Selection
from gradbox.methods import ready, to_method
from gradbox.models.classifier import Classifier

SIZE = (64, 64)
CLASSIFIER = networks.classifier(size=SIZE)
NO_CLASS = Selection(top=0)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A head with random weights: what it says is as good as any where only passes are counted."""
    path = tmp_path_factory.mktemp("head") / "head.safetensors"
    heads.untrained().save(path)
    return str(path)


def originals(count: int = 2, size: tuple[int, int] = (90, 70)) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*size, 3), dtype=np.uint8) for _ in range(count)]


def batch_of(classifier: Classifier, images: list[np.ndarray], **asked: object) -> Batch:
    pairs = [classifier.preprocessing.resized(image) for image in images]
    return Batch(
        image_ids=tuple(f"{i}.png" for i in range(len(images))),
        pixels=torch.from_numpy(np.stack([pixels for pixels, _ in pairs])),
        frames=tuple(frame for _, frame in pairs),
        originals=tuple(images),
        **{"labels": (None,) * len(images), "selection": NO_CLASS, **asked},
    )


def test_sizes_and_flips_are_averaged_by_hand(file: str) -> None:
    """Against the head itself on images resized here: bicubic, then the mean of P of each view."""
    images = originals()
    method = Foreground(sizes=(64, 96), flips=True, head=file)
    found = method.maps(CLASSIFIER).maps(batch_of(CLASSIFIER, images))
    foregrounds, expected = method.trained.on("cpu"), []
    for side in (64, 96):
        resize = Preprocessing(size=(side, side), interpolation="bicubic").resized
        pixels = torch.from_numpy(np.stack([resize(image)[0] for image in images]))
        for p in (foregrounds.of(pixels), foregrounds.of(pixels.flip(3)).flip(2)):
            expected.append(F.interpolate(p[:, None], SIZE, mode="bilinear")[:, 0])
    means = torch.stack(expected).mean(dim=0).numpy()
    for (one,), mean in zip(found, means, strict=True):
        np.testing.assert_allclose(one.heatmap, mean, atol=1e-6)
        assert (one.label, one.label_score, one.top_labels) == (None, 1.0, ())


def test_the_map_is_of_what_the_classifier_sees(file: str) -> None:
    """A centre crop of 64 of 90 rows: the same as the cropped image squashed, to a pixel's edge."""
    (image,) = originals(1, (96, 96))
    smooth = np.ascontiguousarray(np.kron(image[:12, :12], np.ones((8, 8, 1), dtype=np.uint8)))
    cropping = networks.classifier(size=SIZE)
    cropping = cropping.__class__.wrap(
        networks.network(), preprocessing=Preprocessing(size=SIZE, resize=96), device="cpu"
    )
    method = Foreground(sizes=(64,), head=file)
    ((seen,),) = method.maps(cropping).maps(batch_of(cropping, [smooth]))
    middle = np.ascontiguousarray(smooth[16:80, 16:80])
    ((alone,),) = method.maps(CLASSIFIER).maps(batch_of(CLASSIFIER, [middle]))
    np.testing.assert_allclose(seen.heatmap, alone.heatmap, atol=1e-6)


def test_a_batch_of_regions_is_looked_at_region_by_region(file: str) -> None:
    """The part of an image that a batch shows is what the head sees at its own sizes, too."""
    images, box = originals(), np.array([10.0, 20.0, 60.0, 80.0])
    whole = batch_of(CLASSIFIER, images)
    regions = whole.view(CLASSIFIER.preprocessing, [box, box])
    cut = [np.ascontiguousarray(image[20:80, 10:60]) for image in images]
    maker = Foreground(sizes=(96,), head=file).maps(CLASSIFIER)
    cut_maps = maker.maps(batch_of(CLASSIFIER, cut))
    for (one,), (other,) in zip(maker.maps(regions), cut_maps, strict=True):
        assert np.corrcoef(one.heatmap.ravel(), other.heatmap.ravel())[0, 1] > 0.95
        assert abs(one.heatmap - other.heatmap).max() < 0.2  # a bicubic kernel sees past the edge


def test_a_mirrored_batch_has_the_mirrored_map(file: str) -> None:
    batch = batch_of(CLASSIFIER, originals())
    maker = Foreground(sizes=(96,), flips=True, head=file).maps(CLASSIFIER)
    mirrored = maker.maps(batch.mirrored())
    for (one,), (other,) in zip(maker.maps(batch), mirrored, strict=True):
        np.testing.assert_allclose(one.heatmap, other.heatmap[:, ::-1], atol=1e-5)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """The sizes of the inputs that the backbone was run on."""
    sizes: list[tuple[int, ...]] = []
    run = head_file.activations

    def counted(backbone: Classifier, pixels: torch.Tensor, layers: tuple[str, ...]) -> object:
        sizes.append(tuple(pixels.shape[2:]))
        return run(backbone, pixels, layers)

    monkeypatch.setattr(head_file, "activations", counted)
    return sizes


def test_one_pass_for_each_size_whatever_the_classes(
    file: str, passes: list[tuple[int, ...]]
) -> None:
    batch = batch_of(CLASSIFIER, originals(), labels=((1,), (2, 3)), selection=Selection())
    maker = Foreground(sizes=(64, 96), head=file).maps(CLASSIFIER)
    found = maker.maps(batch)
    assert [[one.label for one in maps] for maps in found] == [[1], [2, 3]]
    assert all(0 < one.label_score < 1 for maps in found for one in maps)
    np.testing.assert_array_equal(found[1][0].heatmap, found[1][1].heatmap)
    maker.maps(batch.asking([(4,), (5,)]))
    assert passes == [(64, 64), (96, 96)]


def test_it_gives_the_recognized_class_where_one_is_wanted(file: str) -> None:
    batch = batch_of(CLASSIFIER, originals(), selection=Selection())
    found = Foreground(sizes=(64,), head=file).maps(CLASSIFIER).maps(batch)
    cam = to_method("gradcam").maps(CLASSIFIER).maps(batch)
    assert [m[0].label for m in found] == [m[0].label for m in cam]
    assert [m[0].label_score for m in found] == pytest.approx([m[0].label_score for m in cam])


def test_a_product_with_a_class_map_is_as_by_hand(file: str) -> None:
    text = f"product(foreground(sizes=[64], head='{file}'), gradcam, powers=[1, 0.25])"
    batch = batch_of(CLASSIFIER, originals(), labels=((1,), (2,)), selection=Selection())
    product = to_method(text).maps(CLASSIFIER).maps(batch)
    p = Foreground(sizes=(64,), head=file).maps(CLASSIFIER).maps(batch)
    cam = to_method("gradcam").maps(CLASSIFIER).maps(batch)
    for (one,), (a,), (b,) in zip(product, p, cam, strict=True):
        seen = np.maximum(b.heatmap, 0) / max(b.heatmap.max(), 1e-30)
        np.testing.assert_allclose(one.heatmap, a.heatmap / a.heatmap.max() * seen**0.25, atol=1e-5)


def test_a_product_runs_the_users_network_once(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(*args: object, **options: object) -> object:
        calls.append(1)
        return forward(*args, **options)

    monkeypatch.setattr(passes_file, "forward", counted)
    text = f"product(foreground(sizes=[64], head='{file}'), gradcam, powers=[1, 0.25])"
    batch = batch_of(CLASSIFIER, originals(), selection=Selection())
    to_method(text).maps(CLASSIFIER).maps(batch)
    assert calls == [1]


def test_the_stamp_says_that_boxes_were_seen(file: str) -> None:
    alone = f"foreground(head='{file}')"
    for text in (alone, f"smooth({alone})", f"product({alone}, {alone}, gradcam)"):
        chosen = ready(text, None, CLASSIFIER)
        assert chosen.supervision(given_labels=False) == "foreground head: 2 boxed photographs"
        both = "foreground head: 2 boxed photographs, image labels"
        assert chosen.supervision(given_labels=True) == both
    assert ready("gradcam", None, CLASSIFIER).supervision(given_labels=False) == "none"


def test_sizes_that_are_no_input_are_refused() -> None:
    for sizes in ((), (31,)):
        with pytest.raises(UsageError, match="shorter sides in pixels, 32 or more"):
            Foreground(sizes=sizes)
