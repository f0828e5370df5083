"""Memory that a pass has freed, kept for the next one."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""The numbers of glibc's `mallopt`."""


def keep_freed_memory() -> None:
    """Tell glibc to keep large blocks that are freed, for the whole process.

    By itself it gives each activation back to the system, which then has to clear the pages of the
    next one. What the process takes at most stays about the same; it just keeps it. Elsewhere
    nothing is done.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)
