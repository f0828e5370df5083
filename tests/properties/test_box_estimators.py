import numpy as np
import pytest
from estimates import stacked
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbox.estimators.untrained import Center, Mass, Threshold, TopFraction, Whole
from gradbox.geometry import Frame

sides = st.integers(1, 40)
heatmaps = st.tuples(sides, sides).flatmap(
    lambda size: arrays(np.float32, (2, *size), elements=st.integers(0, 50))
)
map_estimators = st.one_of(
    st.builds(TopFraction, st.floats(0.01, 1), st.sampled_from([0.0, 1.0, 20.0])),
    st.builds(Mass, st.floats(0, 0.9), st.floats(0, 0.4), st.sampled_from([0.0, 2.0])),
    st.builds(Threshold, st.floats(0, 0.9), st.sampled_from([0.0, 2.0])),
)


@st.composite
def frames(draw: st.DrawFn, size: tuple[int, int]) -> Frame:
    """Any image that is resized and cropped, or padded, to this input."""
    original = draw(st.tuples(st.integers(1, 300), st.integers(1, 300)))
    resized = draw(st.tuples(st.integers(1, 80), st.integers(1, 80)))
    crop = tuple(round((have - want) / 2) for have, want in zip(resized, size, strict=True))
    return Frame(original, resized, crop, size)


@settings(max_examples=60, deadline=None)
@given(st.data(), heatmaps, map_estimators | st.just(Center()) | st.just(Whole()))
def test_boxes_lie_inside_the_image_and_scores_between_0_and_1(data, maps, estimator):
    chosen = [data.draw(frames(maps.shape[1:])) for _ in maps]
    boxes, scores = stacked(estimator.estimate(maps, chosen))
    limits = np.array([frame.original[::-1] for frame in chosen])
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= limits).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@settings(max_examples=40, deadline=None)
@given(heatmaps, map_estimators, st.integers(-20, 20))
def test_boxes_do_not_depend_on_the_scale_of_the_map(maps, estimator, power):
    # Powers of two scale float32 without rounding.
    frame = Frame.squash((100, 150), maps.shape[1:])
    boxes, scores = stacked(estimator.estimate(maps, [frame] * 2))
    scaled, scaled_scores = stacked(estimator.estimate(maps * np.float32(2.0**power), [frame] * 2))
    np.testing.assert_allclose(scaled, boxes, atol=1e-9)
    np.testing.assert_allclose(scaled_scores, scores)


@settings(max_examples=40, deadline=None)
@given(
    heatmaps,
    st.builds(TopFraction, st.floats(0.01, 1), st.just(0.0))
    | st.builds(Mass, st.floats(0, 0.9), st.floats(0, 0.4)),
)
def test_a_mirrored_map_has_the_mirrored_box(maps, estimator):
    height, width = maps.shape[1:]
    frame = Frame.squash((height, width), (height, width))
    (xmin, ymin, xmax, ymax), _ = (
        part.T for part in stacked(estimator.estimate(maps, [frame] * 2))
    )
    mirrored, _ = stacked(estimator.estimate(np.ascontiguousarray(maps[:, :, ::-1]), [frame] * 2))
    expected = np.stack([width - xmax, ymin, width - xmin, ymax], axis=1)
    np.testing.assert_allclose(mirrored, expected, atol=1e-9)


def test_smoothing_keeps_the_mirror_image():
    # Values without ties, so that rounding in the smoothing cannot change which pixels are kept.
    maps = np.random.default_rng(0).random((4, 60, 90), dtype=np.float32)
    frame = Frame.squash((60, 90), (60, 90))
    box = stacked(TopFraction(0.2, 10.0).estimate(maps, [frame] * 4))[0]
    mirrored = stacked(TopFraction(0.2, 10.0).estimate(maps[:, :, ::-1].copy(), [frame] * 4))[0]
    assert mirrored[:, [0, 2]] == pytest.approx(90 - box[:, [2, 0]])
