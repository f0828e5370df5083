"""Listings of images: folders, tars, lists and URLs, in one order, in bounded memory."""

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradbox.errors import ImageError, UsageError
from gradbox.images.batches import Failed, Loaded, load
from gradbox.images.decode import load_rgb
from gradbox.images.listing import Images, list_images
from gradbox.images.names import Listed
from gradbox.images.preprocessing import Preprocessing
from gradbox.images.read import hash_image, image_stat, open_image
from gradbox.stores import StoredFile, open_store, source_of

SMALL = Preprocessing(size=(16, 16))


def png(seed: int, side: int = 12) -> bytes:
    """A picture that only this seed has."""
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def names(*inputs: str | Path, **how: Path) -> list[str]:
    return [sample.image_id for sample in list_images(inputs, **how)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Pictures 0 to 3: at the top, in a folder, in a folder of a folder, and in a second one."""
    for seed, name in enumerate(["b.png", "a/1.png", "a/c/2.png", "d/3.png"]):
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(seed))
    return tmp_path / "tree"


def test_tars_by_offset_in_their_order_with_classes(tmp_path: Path) -> None:
    """Each member is what a file of the same bytes would be; labels from .cls or .json."""
    tar = write_tar(
        tmp_path / "photos.tar",
        [
            ("b.cls", b"7\n"),
            ("b.png", png(0)),
            ("x/a.json", json.dumps({"caption": "a cat", "label": "tabby"}).encode()),
            ("x/a.mask.png", png(9)),
            ("x/a.png", png(1)),
            ("c.json", b"{no json"),
            ("c.png", png(2)),
            ("._c.png", b"of a Mac"),
            ("notes.txt", b"no image"),
            ("two.2020.png", png(3)),
            ("two.2021.png", png(4)),
        ],
    )
    samples = list(list_images([tar]))
    assert [(one.image_id, one.label) for one in samples] == [
        ("photos.tar/b.png", "7"),
        ("photos.tar/x/a.png", "tabby"),
        ("photos.tar/c.png", None),
        ("photos.tar/two.2020.png", None),
        ("photos.tar/two.2021.png", None),
    ]
    for seed, sample in enumerate(samples):
        assert isinstance(sample.source, StoredFile)
        assert open_image(sample.source).read() == png(seed)
        assert np.array_equal(load_rgb(sample.source), load_rgb(io_image(png(seed))))
        assert source_of(str(sample.source)) == sample.source
        assert image_stat(sample.source) == (len(png(seed)), tar.stat().st_mtime_ns)
        loaded = load(sample, SMALL)
        assert isinstance(loaded, Loaded)
        plain = tmp_path / f"{seed}.png"
        plain.write_bytes(png(seed))
        assert loaded.sha256 == hash_image(plain) == hash_image(str(sample.source))


def io_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("cut", [2000, 2560, 3072, 3200])
def test_a_tar_that_is_cut_is_an_error_of_its_images(tmp_path: Path, cut: int) -> None:
    """Wherever it ends: in a picture, behind one, in a header, or before the end's two zeros.

    Two of three pictures are 1024 bytes with their headers, so that the third begins at 2048.
    """
    tar = write_tar(tmp_path / "photos.tar", [(f"{i}.png", png(i)) for i in range(3)])
    assert len(png(0)) in range(449, 513)
    whole = {one.image_id: one for one in list_images([tar])}
    tar.write_bytes(tar.read_bytes()[:cut])
    found = [load(one, SMALL) for one in list_images([tar])]
    *before, last = found
    assert isinstance(last, Failed)
    assert last.sample.image_id.startswith("photos.tar/damaged from byte ")
    assert "cut or damaged from byte" in str(last.error)
    for one in before:
        is_whole = tar_end(whole[one.sample.image_id].source) <= cut
        assert isinstance(one, Loaded) is is_whole
        if isinstance(one, Failed):
            assert "photos.tar cannot be read to its end" in str(one.error)
    assert sum(isinstance(one, Loaded) for one in before) >= 1


def tar_end(source: object) -> int:
    assert isinstance(source, StoredFile)
    assert source.part is not None
    assert source.part[1] is not None
    return source.part[0] + source.part[1]


def test_what_is_no_tar_or_is_not_there_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no tar at all" * 100)
    (tmp_path / "b.tar").touch()
    write_tar(tmp_path / "c.tar", [("1.png", png(0))])
    (tmp_path / "all.txt").write_text("a.tar\nb.tar\nc.tar\nd.tar\n")
    found = [load(one, SMALL) for one in list_images([f"list:{tmp_path / 'all.txt'}"])]
    assert [isinstance(one, Loaded) for one in found] == [False, False, True, False]
    assert [one.sample.image_id for one in found[::3]] == [
        "a.tar/damaged from byte 0",
        "d.tar",
    ]


def test_tars_that_hold_no_image_or_are_compressed(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", [("1.txt", b"no image")])
    with pytest.raises(UsageError, match=r"no image in the tar .*a\.tar"):
        names(tmp_path / "a.tar")
    with pytest.raises(UsageError, match=r"a\.tar\.gz is compressed.*unpack it to a \.tar"):
        names(tmp_path / "a.tar.gz")


def test_a_pattern_stands_for_the_names_that_are_there(tree: Path) -> None:
    for i in (2, 1):
        write_tar(tree / f"{i}.tar", [("x.png", png(i))])
    assert names(f"{tree}/*.tar") == ["1.tar/x.png", "2.tar/x.png"]
    assert names(f"{tree}/?.png") == ["b.png"]
    (tree / "a*.png").write_bytes(png(5))
    assert names(tree / "a*.png") == ["a*.png"]  # a file of this name
    with pytest.raises(UsageError, match="nothing there has such a name"):
        names(f"{tree}/*.gif")
    only = tree / "tars"
    only.mkdir()
    write_tar(only / "1.tar", [("x.png", png(1))])
    with pytest.raises(UsageError, match=r"or name its tars, as in '.*/tars/\*\.tar'"):
        names(only)


def table(path: Path, rows: Sequence[Sequence[str]], delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)


def write_list(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """The rows, paths and classes, in the format that the suffix names."""
    if path.suffix == ".txt":
        path.write_text("".join(f"{a}\t{b}\n" if b else f"{a}\n\n" for a, b in rows))
    elif path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        paths, labels = zip(*rows, strict=True)
        known = [label or None for label in labels]
        parquet.write_table(pa.table({"n": [1] * len(rows), "path": paths, "class": known}), path)
    else:
        delimiter = "\t" if path.suffix == ".tsv" else ","
        table(path, [("n", "label", "image"), *(("1", b, a) for a, b in rows)], delimiter)
    return path


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".tsv", ".parquet"])
def test_lists(tree: Path, suffix: str) -> None:
    """In the list's order, with classes; relative to it, absolute, as URLs, and of tars."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    write_tar(tree / "t.tar", [("x.png", png(7))])
    (tree / "lists").mkdir()
    rows = [
        ("../d/3.png", "crane"),
        (str(tree / "b.png"), ""),
        (f"file://{tree}/a/1.png", "von, bis"),
        ("../t.tar", ""),
        ("away.png", "7"),
    ]
    where = write_list(tree / "lists" / f"all{suffix}", rows)
    found = list(list_images([f"list:{where}"]))
    below = tree.as_posix().strip("/")
    assert [(one.image_id, one.label) for one in found] == [
        ("d/3.png", "crane"),
        (f"{below}/b.png", None),
        (f"{below}/a/1.png", "von, bis"),
        ("t.tar/x.png", None),
        ("away.png", "7"),
    ]
    loaded = [load(one, SMALL) for one in found]
    seeds = [3, 0, 1, 7]
    for one, seed in zip(loaded, seeds, strict=False):
        assert isinstance(one, Loaded)
        pixels = SMALL.resized(load_rgb(io_image(png(seed))))[0]
        assert np.array_equal(one.pixels, pixels)
    assert isinstance(loaded[-1], Failed)
    assert "no such file" in str(loaded[-1].error)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "file,class\na.png,1\n", "a.csv has no column path or image: its columns are"),
        ("a.csv", "", "a.csv has no column path or image: its columns are none"),
        ("a.csv", "path\n", "a.csv names no image"),
        ("a.csv", "class,path\n1\n", "a.csv, line 2: the cells are fewer than columns"),
        ("a.csv", 'path\n"a.png\n', "a.csv, line 2: unexpected end of data; close each quote"),
        ("a.txt", "\n\n", "a.txt names no image"),
        ("a.txt", b"\xff\xfe\x00", "a.txt is not UTF-8 text"),
        (
            "a.txt",
            "a.png\nhttp://x/b.png\n",
            "a.txt, line 2: http://x/b.png is no path, and no URL",
        ),
        ("a.txt", "..\n", "a.txt, line 1: '..' can be no file"),
        ("a.txt", "a\0.png\n", "a.txt, line 1: 'a\\x00.png' can be no file"),
        ("a.parquet", b"no parquet", "a.parquet, row 1: "),
    ],
)
def test_lists_that_cannot_be_read(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    data = content.encode() if isinstance(content, str) else content
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as error:
        names(f"list:{tmp_path / name}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_lists_that_are_not_there_or_lack_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file; name a text, CSV or parquet"):
        names(f"list:{tmp_path / 'none.txt'}")
    (tmp_path / "a.csv").write_text("path\na.png\n")
    with pytest.raises(UsageError, match=r"a\.csv is no image: .* write list:"):
        names(tmp_path / "a.csv")


def test_a_million_times_the_same_name_is_one_line(tmp_path: Path) -> None:
    """Here 5000 of 5003, in two blocks; the first two are named by their numbers."""
    rows = ["a.png", "b.png", *["c.png"] * 5001]
    (tmp_path / "all.txt").write_text("\n".join(rows))
    images = list_images([f"list:{tmp_path / 'all.txt'}"])
    for _ in range(2):
        with pytest.raises(UsageError) as error:
            len(images)
        assert str(error.value) == (
            "5,000 of 5,003 images have the name of an earlier one, such as 'c.png', image 3 and "
            "4: name each image once"
        )


def test_images_are_a_sequence(tmp_path: Path) -> None:
    """As a list of the same samples: indices, slices, and going through it twice at once."""
    listed = [Listed(f"{i}.png", Path(f"{i}.png"), str(i)) for i in range(3000)]
    images = Images(iter(listed))
    first, second = iter(images), iter(images)
    assert [next(first).image_id for _ in range(1500)] == [one.image_id for one in listed[:1500]]
    assert next(second).image_id == "0.png"
    assert len(images) == 3000
    every = [one.image_id for one in listed]
    assert [one.image_id for one in images] == every
    assert [one.image_id for one in first] == every[1500:]
    for index in (0, 1023, 1024, 2999, -1, -3000):
        assert images[index].image_id == every[index]
    for cut in (slice(None), slice(1020, 1030), slice(5, 2), slice(-2, None), slice(9, 0, -3)):
        assert [one.image_id for one in images[cut]] == every[cut]
    for index in (3000, -3001):
        with pytest.raises(IndexError):
            images[index]
    assert images[7].label == "7"


def test_nothing_is_looked_for_before_it_is_asked_for() -> None:
    asked: list[int] = []

    def listed() -> Iterable[Listed]:
        for i in range(5000):
            asked.append(i)
            yield Listed(f"{i}.png", Path(f"{i}.png"))

    images = Images(listed())
    assert next(iter(images)).image_id == "0.png"
    assert len(asked) == 1024


def test_results_are_no_input(tree: Path) -> None:
    (tree / "out").mkdir()
    (tree / "out" / "x.png").write_bytes(png(8))
    assert names(tree, apart_from=tree / "out") == ["a/1.png", "a/c/2.png", "b.png", "d/3.png"]
    assert "out/x.png" in names(tree, apart_from=tree / "ou")


MEMORY = """
import resource, sys
from gradbox.images.listing import list_images
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for _ in list_images([f"list:{sys.argv[1]}"]):  # imports what it needs
    break
before = peak()
images = list_images([f"list:{sys.argv[2]}"])
assert sum(1 for _ in images) == len(images) == int(sys.argv[3])
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".txt", ".csv", ".parquet"])
def test_the_memory_of_a_long_list(tmp_path: Path, suffix: str) -> None:
    """200,000 entries take less than 20 MB more than one: a list of samples takes some 150 MB."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    count = 200_000
    short = write_list(tmp_path / f"short{suffix}", [("a/0.jpg", "crane")])
    rows = [(f"images/part-{i // 1000:04}/{i:09}.jpg", "crane") for i in range(count)]
    long = write_list(tmp_path / f"long{suffix}", rows)
    words = [sys.executable, "-c", MEMORY, str(short), str(long), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert float(done.stdout) < 20


@pytest.fixture(params=["s3", "gs"])
def bucket(request: pytest.FixtureRequest, tree: Path) -> str:
    """The tree, a tar and lists of both in an object store."""
    url: str = request.getfixturevalue(request.param)
    store = open_store(url)
    for path in tree.rglob("*.png"):
        store.write(path.relative_to(tree).as_posix(), path.read_bytes())
    tar = write_tar(tree.parent / "t.tar", [("x.cls", b"crane"), ("x.png", png(7, 300))])
    store.write("tars/t.tar", tar.read_bytes())
    store.write("lists/all.txt", b"../b.png\tcrane\n../tars/t.tar\nnothing.png\n")
    return url


@pytest.mark.slow
def test_object_stores(bucket: str, tree: Path) -> None:
    """The same ids, in the same order, the same pixels and hashes as of the files here."""
    here = [load(one, SMALL) for one in list_images([tree])]
    samples = list(list_images([bucket]))
    assert [one.image_id for one in samples] == [one.sample.image_id for one in here]
    for sample, local in zip(samples, here, strict=True):
        loaded = load(sample, SMALL)
        assert isinstance(loaded, Loaded)
        assert isinstance(local, Loaded)
        assert loaded.sha256 == local.sha256
        assert np.array_equal(loaded.pixels, local.pixels)
        again = source_of(str(sample.source))
        assert image_stat(again) == image_stat(sample.source)
    assert names(f"{bucket}/b.png") == ["b.png"]
    assert names(f"{bucket}/d", f"{bucket}/a/c/2.png") == ["d/3.png", "a/c/2.png"]
    assert names(f"{bucket}/?.png", f"{bucket}/d/") == ["b.png", "d/3.png"]
    assert names(bucket, apart_from=f"{bucket}/a/c") == ["a/1.png", "b.png", "d/3.png"]
    tar = list(list_images([f"{bucket}/tars/*.tar", tree / "b.png"]))
    scheme, _, rest = bucket.partition("://")
    assert tar[0].image_id == f"{scheme}/{rest}/tars/t.tar/x.png"
    assert tar[0].label == "crane"
    assert np.array_equal(load_rgb(tar[0].source), load_rgb(io_image(png(7, 300))))
    assert np.array_equal(load_rgb(f"{bucket}/b.png"), load_rgb(tree / "b.png"))
    with pytest.raises(UsageError, match=r"nothing does not exist: give"):
        names(f"{bucket}/nothing")


@pytest.mark.slow
def test_lists_in_object_stores(bucket: str) -> None:
    found = [load(one, SMALL) for one in list_images([f"list:{bucket}/lists/all.txt"])]
    assert [one.sample.image_id for one in found] == ["b.png", "tars/t.tar/x.png", "nothing.png"]
    assert [one.sample.label for one in found] == ["crane", "crane", None]
    assert isinstance(found[2], Failed)
    assert "there is no such file" in str(found[2].error)
    assert isinstance(found[1], Loaded)


def test_an_image_that_is_cut_out_of_its_tar(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "photos.tar", [("0.png", png(0))])
    for text, why in (("#512+0", "the file is empty"), ("#512+99999", "ends at byte 10240")):
        with pytest.raises(ImageError, match=why):
            open_image(f"{tar}{text}")


def test_a_link_that_leads_to_itself_is_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to("loop.png")
    assert [one.image_id for one in list_images([tmp_path])] == ["loop.png"]
