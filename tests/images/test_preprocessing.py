import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import models
from torchvision.transforms import InterpolationMode, v2

from gradbox import boxes as bx
from gradbox.images.preprocessing import Preprocessing

SIZES = [(200, 300), (331, 250), (224, 224), (57, 90), (700, 131)]


def photograph(height: int, width: int) -> np.ndarray:
    """Smooth colours with some noise, as in a photograph; seeded."""
    rng = np.random.default_rng(height * 10_000 + width)
    coarse = rng.integers(0, 256, (8, 8, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def resized(preprocessing: Preprocessing, rgb: np.ndarray) -> np.ndarray:
    return preprocessing.resized(rgb)[0].transpose(1, 2, 0).astype(int)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_squash_equals_torchvisions_resize_within_two_grey_levels(
    size: tuple[int, int], interpolation: str
):
    rgb = photograph(*size)
    preprocessing = Preprocessing(size=(96, 128), interpolation=interpolation)
    theirs = v2.Resize((96, 128), InterpolationMode(interpolation))(Image.fromarray(rgb))
    assert np.abs(resized(preprocessing, rgb) - np.asarray(theirs)).max() <= 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("interpolation", "shorter"), [("bilinear", 256), ("bicubic", 256), ("bilinear", 224)]
)
def test_resize_and_crop_equals_torchvisions_within_a_grey_level(
    size: tuple[int, int], interpolation: str, shorter: int
):
    rgb = photograph(*size)
    preprocessing = Preprocessing(resize=shorter, interpolation=interpolation)
    theirs = v2.Compose([v2.Resize(shorter, InterpolationMode(interpolation)), v2.CenterCrop(224)])
    difference = np.abs(resized(preprocessing, rgb) - np.asarray(theirs(Image.fromarray(rgb))))
    # Pillow rounds once more where it resizes a part only: 3 levels at one pixel in 150,000.
    assert difference.max() <= 3
    assert np.mean(difference <= 1) > 0.999


def test_a_crop_larger_than_the_resized_image_is_padded_with_black_as_torchvision_does():
    rgb = photograph(50, 71)
    theirs = v2.Compose([v2.Resize(21), v2.CenterCrop([24, 35])])(Image.fromarray(rgb))
    ours = resized(Preprocessing(size=(24, 35), resize=21), rgb)
    assert np.abs(ours - np.asarray(theirs)).max() <= 2
    assert (ours[0] == 0).all()


def test_normalized_values_equal_those_of_the_transforms_that_torchvision_ships():
    transform = models.ResNet18_Weights.IMAGENET1K_V1.transforms()
    preprocessing = Preprocessing(resize=256)  # its mean and std are torchvision's, too
    rgb = photograph(300, 400)
    pixels = torch.from_numpy(preprocessing.resized(rgb)[0])[None]
    ours = preprocessing.normalize(pixels, torch.float32)
    # Two grey levels, divided by 255 and by the smallest std.
    assert (ours[0] - transform(Image.fromarray(rgb))).abs().max() < 2 / 255 / 0.224 + 1e-6


def test_colour_order_scale_mean_and_std_by_hand():
    # Caffe's way: BGR in 0..255 with a mean in the same order.
    preprocessing = Preprocessing(
        color="BGR", scale=255.0, mean=(104.0, 117.0, 123.0), std=(1.0, 2.0, 4.0)
    )
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    values = preprocessing.normalize(red, torch.float32).flatten().tolist()
    assert values == [0 - 104, (0 - 117) / 2, (255 - 123) / 4]
    assert preprocessing.mean_pixel() == (123, 117, 104)


@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_the_mean_pixel_becomes_zero(color: str):
    # Means that are whole grey levels, so that a uint8 pixel can hold them.
    mean = tuple(level / 255 for level in (10, 100, 200))
    preprocessing = Preprocessing(color=color, mean=mean)
    pixel = torch.tensor(preprocessing.mean_pixel()).round().to(torch.uint8).view(1, 3, 1, 1)
    assert preprocessing.normalize(pixel, torch.float64).abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_normalize_gives_the_dtype_asked_for_and_leaves_the_pixels(dtype: torch.dtype):
    pixels = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)
    values = Preprocessing(color="BGR").normalize(pixels, dtype)
    assert values.dtype == dtype
    assert pixels.flatten().tolist() == list(range(12))


@pytest.mark.parametrize("resize", ["squash", 256, 224, 100])
@pytest.mark.parametrize("size", [(400, 600), (331, 250), (90, 130)])
def test_a_bright_rectangle_comes_back_to_where_it_was_painted(
    size: tuple[int, int], resize: int | str
):
    height, width = size
    painted = np.array([[width // 3, height // 3, width * 3 // 5, height * 3 // 4]], dtype=float)
    xmin, ymin, xmax, ymax = painted[0].astype(int)
    rgb = np.zeros((height, width, 3), dtype=np.uint8)
    rgb[ymin:ymax, xmin:xmax] = 255
    pixels, frame = Preprocessing(resize=resize).resized(rgb)
    found = frame.to_original(bx.bounding(pixels[0] > 127)[None])
    # Half a pixel of the input at most, in original pixels, and rounding.
    tolerance = max(1.0, 0.5 * max(np.divide(frame.original, frame.resized))) + 0.01
    assert np.abs(found - painted).max() <= tolerance


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1), (1, 1), (2, 3)])
def test_extreme_shapes_have_an_input_too(size: tuple[int, int]):
    rgb = np.full((*size, 3), 77, dtype=np.uint8)
    for resize in ("squash", 256):
        pixels, frame = Preprocessing(resize=resize).resized(rgb)
        assert pixels.shape == (3, 224, 224)
        assert (pixels == 77).all()
        assert frame.original == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 224)}, r"size \(0, 224\)"),
        ({"resize": 0}, "resize 0"),
        ({"mean": (0.5, 0.5)}, r"mean \(0.5, 0.5\)"),
        ({"std": (1.0, 0.0, 1.0)}, "std not 0"),
        ({"scale": 0.0}, "scale"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**options)


@pytest.mark.parametrize("resize", ["squash", 60])
def test_a_smaller_copy_is_seen_as_its_original_is(resize):
    """The frame is the original's, to the bit; a smooth picture looks the same from its copy."""
    rows, columns = np.mgrid[0:401, 0:603] / 603
    original = (np.stack([rows, columns, 1 - columns], axis=2) * 255).astype(np.uint8)
    copy = np.asarray(Image.fromarray(original).reduce(2))
    preprocessing = Preprocessing(size=(48, 64), resize=resize)
    for region in (None, np.array([100.0, 50.0, 603.0, 401.0])):
        expected, frame = preprocessing.resized(original, region)
        seen, frame_of_copy = preprocessing.resized(copy, region, (401, 603))
        assert frame_of_copy == frame
        assert np.abs(seen.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
def test_a_part_is_resized_as_if_all_of_the_image_had_been_at_hand(interpolation):
    """Pillow itself, given the whole image and the box: it looks beyond the box's border."""
    rgb = photograph(240, 310)
    preprocessing = Preprocessing(size=(48, 64), interpolation=interpolation)
    for region in (
        [0, 0, 310, 240],
        [0.0, 31.5, 99.25, 80.0],
        [200, 100, 310, 240],
        [60, 70, 72, 79],
    ):
        seen, _ = preprocessing.resized(rgb, np.array(region, dtype=float))
        resampling = Image.Resampling[interpolation.upper()]
        theirs = np.asarray(Image.fromarray(rgb).resize((64, 48), resampling, box=region))
        assert np.abs(seen.transpose(1, 2, 0).astype(int) - theirs).max() <= 1
