"""Parts on a disk that takes no more."""

import errno
import resource
from pathlib import Path

import numpy as np
import pytest

from gradbox.results.parts import Parts


def test_an_array_that_does_not_fit_says_why_and_leaves_nothing(tmp_path: Path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            Parts(tmp_path).write([{"image": "a.png"}], np.zeros(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # np.save into an open file says "1000 requested and 109 written", and no number.
    assert caught.value.errno == errno.EFBIG
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
