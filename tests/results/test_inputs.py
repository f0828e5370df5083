"""What the result of an image depends on, as it is now."""

import threading
from pathlib import Path

import pytest

from gradbox.localization import Sample
from gradbox.results.inputs import Input
from gradbox.stores import StoredFile
from gradbox.stores.cloud import CloudStore
from gradbox.stores.store import Entry

N = 50


def test_a_store_is_asked_about_many_images_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked one by one, the first would wait for the second for ever."""
    together = threading.Barrier(2)

    def stat(self: CloudStore, name: str) -> Entry:
        together.wait(timeout=30)
        return Entry(name, False, int(name[:-4]), 7)

    monkeypatch.setattr(CloudStore, "stat", stat)
    samples = [Sample(image_id=f"{i}", source=StoredFile(f"s3://b/{i}.jpg")) for i in range(N)]
    found = list(Input.each_now(iter(samples), lambda one: (int(one.image_id),)))
    assert [one for one, _ in found] == samples
    assert [(now.bytes, now.mtime_ns, now.asked) for _, now in found] == [
        (i, 7, (i,)) for i in range(N)
    ]


def test_what_is_listed_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(CloudStore, "stat", lambda *_: pytest.fail("a store was asked"))
    here = tmp_path / "a.jpg"
    here.write_bytes(b"12345")
    sources = [
        StoredFile("s3://b/a.jpg", None, 3, 7),
        StoredFile("s3://b/a.tar", (512, 4), None, 8),
        here,
        tmp_path / "none.jpg",
    ]
    samples = [Sample(image_id=f"{i}", source=one) for i, one in enumerate(sources)]
    found = [now for _, now in Input.each_now(samples, lambda _: None)]
    assert [now.bytes for now in found] == [3, 4, 5, None]
    assert [now.mtime_ns for now in found[:3]] == [7, 8, here.stat().st_mtime_ns]
