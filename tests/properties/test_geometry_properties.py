import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradbox.geometry import Frame

sides = st.integers(1, 400)
sizes = st.tuples(sides, sides)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    original, size = draw(sizes), draw(sizes)
    if draw(st.booleans()):
        return Frame.squash(original, size)
    return Frame.resize_and_crop(original, draw(sides), size)


@st.composite
def boxes_inside(draw: st.DrawFn, size: tuple[int, int]) -> np.ndarray:
    corners = draw(arrays(np.float64, (3, 2, 2), elements=st.floats(0, 1)))
    return np.sort(corners * np.array(size[::-1]), axis=1).reshape(3, 4)


@given(st.data(), frames())
def test_to_input_and_back_is_the_identity_inside_the_image(data, frame):
    boxes = data.draw(boxes_inside(frame.original))
    back = frame.to_original(frame.to_input(boxes))
    np.testing.assert_allclose(back, boxes, rtol=1e-9, atol=1e-6)


@given(st.data(), frames())
def test_boxes_of_the_input_come_back_inside_the_original_and_in_order(data, frame):
    boxes = frame.to_original(data.draw(boxes_inside(frame.input)))
    height, width = frame.original
    assert ((boxes >= 0) & (boxes <= np.array([width, height, width, height]))).all()
    assert (boxes[:, 2:] >= boxes[:, :2]).all()


@settings(max_examples=50, deadline=None)
@given(
    frames(),
    arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.floats(0, 1)),
)
def test_a_map_over_the_original_invents_nothing(frame, heatmap):
    # Interpolation stays between the lowest and the highest value, and 0 where nothing was seen.
    over = frame.map_to_original(heatmap)
    assert over.shape == frame.original
    assert over.max() <= heatmap.max() + 1e-6
    assert ((over == 0) | (over >= heatmap.min() - 1e-6)).all()
