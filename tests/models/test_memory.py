"""Freed memory that is kept: what is asked of the C library, and that there may be another one."""

import ctypes
from types import SimpleNamespace

import pytest

from gradbox.models.memory import keep_freed_memory


def test_large_blocks_come_from_the_heap_which_is_not_given_back(monkeypatch: pytest.MonkeyPatch):
    # By glibc's malloc.h: M_MMAP_MAX is -4, M_TRIM_THRESHOLD -1, and a threshold of -1 is none.
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda what, value: asked.append((what, value)))
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: library)
    keep_freed_memory()
    assert dict(asked) == {-4: 0, -1: -1}


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    keep_freed_memory()
