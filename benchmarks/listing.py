"""What it costs to list the images of each kind of source: peak of memory, and time.

    python benchmarks/listing.py 1000 1000000

Each kind is listed in a process of its own; its memory is the peak above what its imports take.
The bucket is a server that answers requests to list it, and holds nothing.
"""

import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

MEASURED = """
import json, re, sys, time
import pyarrow.fs, pyarrow.parquet
from pathlib import Path
from gradbox.images.listing import list_images
def memory(name):
    return int(re.search(name + r":\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
Path("/proc/self/clear_refs").write_text("5")  # the peak of the imports is forgotten
before = memory("VmRSS")
started = time.perf_counter()
images = list_images([sys.argv[1]])
assert len(images) == int(sys.argv[2]), len(images)
assert images[-1].image_id
print(json.dumps([memory("VmHWM") - before, time.perf_counter() - started]))
"""
PAGE = 1000


class Bucket(BaseHTTPRequestHandler):
    """S3's answers to a client that lists a bucket of `count` images in one folder."""

    count = 0
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """There is the bucket, and no object."""
        is_bucket = urlsplit(self.path).path.strip("/") == "photos"
        self.send_response(200 if is_bucket else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """A page of keys."""
        asked = parse_qs(urlsplit(self.path).query)
        first = int(asked.get("continuation-token", ["0"])[0])
        last = min(first + int(asked.get("max-keys", [str(PAGE)])[0]), self.count)
        more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < self.count else ""
        keys = "".join(
            f"<Contents><Key>in/{name(i)}</Key><LastModified>2026-01-01T00:00:00.000Z"
            "</LastModified><Size>1000</Size><ETag>x</ETag></Contents>"
            for i in range(first, last)
        )
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>photos</Name>'
            f"<KeyCount>{last - first}</KeyCount>"
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{keys}</ListBucketResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def name(number: int) -> str:
    """As of a photograph in a large set."""
    return f"photograph-{number:09}.jpg"


def sources(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Each kind, and what to list; it is gone when the next one is asked for."""
    import pyarrow as pa
    from pyarrow import parquet

    paths = [f"images/{i // 1000:06}/{name(i)}" for i in range(count)]
    text = folder / "list.txt"
    text.write_text("".join(f"{path}\n" for path in paths))
    yield "list, text", f"list:{text}"
    table = folder / "list.csv"
    table.write_text("path,class\n" + "".join(f"{path},crane\n" for path in paths))
    yield "list, CSV", f"list:{table}"
    file = folder / "list.parquet"
    parquet.write_table(pa.table({"path": paths, "class": ["crane"] * count}), file)
    yield "list, parquet", f"list:{file}"
    flat = folder / "flat"
    flat.mkdir()
    for i in range(count):
        (flat / name(i)).touch()
    yield "one folder", str(flat)
    deep = folder / "deep"
    for start in range(0, count, 1000):
        below = deep / f"{start // 1000:06}"
        below.mkdir(parents=True)
        for i in range(start, min(start + 1000, count)):
            os.rename(flat / name(i), below / name(i))
    yield "folders of 1000", str(deep)
    tar = folder / "photos.tar"
    with tarfile.open(tar, "w") as out:
        for i in range(count):
            out.addfile(tarfile.TarInfo(name(i)))
            out.members = []  # type: ignore[attr-defined]
    yield "tar", str(tar)


def measured(source: str, count: int) -> list[float]:
    words = [sys.executable, "-c", MEASURED, source, str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    counts = [int(word) for word in sys.argv[1:]] or [1000, 100_000]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}"
    os.environ |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "key")
    print(f"{'source':18} {'images':>9}  {'MB':>6}  {'seconds':>8}")
    for count in counts:
        Bucket.count = count
        with TemporaryDirectory() as folder:
            for kind, source in sources(Path(folder), count):
                report(kind, count, measured(source, count))
        report("bucket, one folder", count, measured("s3://photos/in", count))


def report(kind: str, count: int, found: list[float]) -> None:
    megabytes, seconds = found
    print(f"{kind:18} {count:9,}  {megabytes:6.1f}  {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
