"""Label Studio's run lengths of a brush mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from gradbox.brush import from_brush, to_brush


@settings(max_examples=50, deadline=None)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_a_mask_comes_back(mask):
    np.testing.assert_array_equal(from_brush(to_brush(mask), *mask.shape), mask)


def test_long_runs_are_parted():
    mask = np.zeros((400, 300), dtype=bool)
    mask[:, :250] = True
    mask[200:, :] = True
    np.testing.assert_array_equal(from_brush(to_brush(mask), 400, 300), mask)


HEADER = f"{4:032b}" + f"{7:05b}" + "0010" + "0011" + "0111" + "1111"
"""Four values of 8 bits, lengths of 3, 4, 8 and 16 bits: one pixel."""


def test_the_bits_by_hand():
    """One pixel that is on: four values, a run of 4 (its length less 1 in 3 bits), 255."""
    bits = (
        f"{4:032b}" + f"{7:05b}" + "0010" + "0011" + "0111" + "1111" + "1" + "00" + "011" + "1" * 8
    )
    expected = [int(bits.ljust(72, "0")[i : i + 8], 2) for i in range(0, 72, 8)]
    assert to_brush(np.ones((1, 1), dtype=bool)) == expected


def test_values_that_are_not_repeated():
    """A piece of four single values, as the editor writes them: alpha is the last."""
    bits = HEADER + "0" + "00" + "011"
    bits += "".join(f"{value:08b}" for value in (9, 9, 9, 0))
    values = [int(bits.ljust(96, "0")[i : i + 8], 2) for i in range(0, 96, 8)]
    assert not from_brush(values, 1, 1).any()


@pytest.mark.parametrize(("values", "reason"), [([0] * 3, "end too early"), ([0] * 9, "no RGBA")])
def test_what_is_no_mask_of_this_size_is_refused(values, reason):
    with pytest.raises(ValueError, match=reason):
        from_brush(values, 2, 2)
