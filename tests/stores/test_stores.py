"""Stores: what one can do, each of them can; what goes wrong is one line."""

import pickle
import socket
import sys
from io import BufferedReader, BytesIO
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from object_stores import BUCKET, free_port, s3

from gradbox.errors import UsageError
from gradbox.stores import Store, address, open_store
from gradbox.stores.cloud import _file_system

NAMES = ["b.txt", "a/b c#ü+%.txt", "a.txt", "a/d/e.txt", ".hidden", "a/.part-1.partial"]


@pytest.fixture(
    params=[
        "local",
        pytest.param("s3", marks=pytest.mark.slow),
        pytest.param("gs", marks=pytest.mark.slow),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty one of each kind."""
    if request.param == "local":
        return open_store(tmp_path / "store")
    return open_store(request.getfixturevalue(request.param))


def test_what_is_written_is_read_listed_and_removed(store: Store) -> None:
    assert store.names() == []
    for name in NAMES:
        store.write(name, name.encode())
    visible = ["a.txt", "a/b c#ü+%.txt", "a/d/e.txt", "b.txt"]
    assert store.names() == visible
    assert store.names("a") == visible[1:3]  # and not a.txt
    assert store.names("nothing") == []
    assert all(store.read(name) == name.encode() for name in NAMES)
    store.write("a.txt", b"other")
    assert store.read("a.txt") == b"other"
    assert [store.exists(name) for name in ("a.txt", "a", "c.txt", "b.txt/c")] == [
        True,
        *[False] * 3,
    ]
    store.remove("a.txt")
    store.remove("a.txt")
    assert store.names() == visible[1:]


def test_a_walk_gives_a_folder_where_its_name_stands(store: Store) -> None:
    """By the parts of the names, as `sorted` has paths: 'a' < 'a.txt', though '/' > '.'."""
    for name in NAMES:
        store.write(name, b"")
    found = [entry.name for entry in store.walk()]
    assert found == [path.as_posix() for path in sorted(map(Path, store.names()))]
    assert found[-2:] == ["a.txt", "b.txt"]


def test_parts_of_a_file_and_its_facts(store: Store) -> None:
    store.write("ten", b"0123456789")
    parts = [store.open("ten", part).read() for part in (None, (0, 3), (7, 3), (10, 0))]
    assert parts == [b"0123456789", b"012", b"789", b""]
    with pytest.raises(EOFError, match="the file ends at byte 10"):
        store.open("ten", (8, 3))
    stat = store.stat("ten")
    assert stat is not None
    assert stat.size == 10
    assert stat.version is not None
    assert [entry.size in (None, 10) for entry in store.walk()] == [True]
    assert store.stat("eleven") is None
    assert store.open("ten", (2, 3), stat.version).read() == b"234"


def test_files_are_read_in_blocks(store: Store) -> None:
    """As of a plain file: any place, any length, blocks of 4 MiB and shorter ones after a jump."""
    data = np.random.default_rng(0).bytes(10_000_000)
    store.write("large", data)
    plain = BytesIO(data)
    with BufferedReader(store.open("large")) as stream:
        steps = [(0, 5), (9_999_990, 100), (4_194_300, 10), (300_000, 5_000_000), (7, 0)]
        for place, count in steps:
            assert stream.seek(place) == plain.seek(place)
            assert stream.read(count) == plain.read(count)
        assert stream.seek(-3, 2) == 9_999_997
        assert stream.read() == data[-3:]


def test_a_file_that_is_not_there(store: Store) -> None:
    for read in (store.read, store.open):
        with pytest.raises(FileNotFoundError):
            read("nothing")


def test_a_store_can_be_pickled(store: Store) -> None:
    store.write("a", b"1")
    again = pickle.loads(pickle.dumps(store))
    assert again == store
    assert again.url == store.url
    assert again.read("a") == b"1"


def test_only_local_files_have_a_path(store: Store) -> None:
    if store.is_local:
        assert store.path("a/b") == Path(store.url) / "a" / "b"
    else:
        with pytest.raises(TypeError, match="not on this machine"):
            store.path("a/b")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("photos/a.jpg", "photos/a.jpg"),
        (Path("photos/a.jpg"), "photos/a.jpg"),
        ("file:///data/a%20b%23.jpg", "/data/a b#.jpg"),
        ("FILE://localhost/data", "/data"),
        (Path("file:///data"), "/data"),
        ("s3://photos/a b%20", "s3://photos/a b%20"),
        (Path("s3://photos/a"), "s3://photos/a"),
        (Path("gs://photos/a"), "gs://photos/a"),
    ],
)
def test_addresses(place: str | Path, text: str) -> None:
    """Keys of objects have no escapes, as in the tools of their stores; file:// has them."""
    assert address(place) == text


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("ftp://photos", "ftp:// is no store: use file://, s3://, gs://"),
        ("s4://photos", "s4:// is no store: use file://, s3://, gs://"),
        ("file://server/photos", "on another machine: write file:///PATH with three slashes"),
        ("s3://", "name a bucket, as in s3://BUCKET/FOLDER"),
        ("gs:///a", "name a bucket, as in gs://BUCKET/FOLDER"),
    ],
)
def test_what_is_no_store(place: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        open_store(place)
    assert message in str(error.value)


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    _file_system.cache_clear()
    for name in ("pyarrow", "pyarrow.fs"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match=r"pip install 'gradbox\[scale\]'"):
        open_store("s3://photos")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_no_such_bucket(scheme: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(scheme)
    for rest in ("elsewhere", "elsewhere/below"):
        with pytest.raises(UsageError, match="there is no bucket 'elsewhere' at http://127"):
            open_store(f"{scheme}://{rest}")


@pytest.mark.slow
def test_no_right_to_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a server that checks who asks, after the first request, which makes the bucket."""
    pytest.importorskip("moto")
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1")
    with s3(tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UsageError) as error:
            open_store(f"s3://{BUCKET}")
    assert f"s3://{BUCKET}: no right to it at http://127" in str(error.value)
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in str(error.value)


@pytest.mark.slow
def test_a_google_store_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    started = monotonic()
    with pytest.raises(UsageError, match="does not answer as it should within 8 s"):
        open_store(f"gs://{BUCKET}")
    assert monotonic() - started < 30


@pytest.mark.slow
def test_a_server_that_is_away_or_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear error, within 20 s: three tries, each given up after 3 s without an answer."""
    pytest.importorskip("pyarrow")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        for port in (free_port(), silent.getsockname()[1]):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
            started = monotonic()
            with pytest.raises(UsageError) as error:
                open_store(f"s3://{BUCKET}")
            assert monotonic() - started < 20
            assert f"127.0.0.1:{port} does not answer as it should after 3 tries" in str(
                error.value
            )
            assert "\n" not in str(error.value)
