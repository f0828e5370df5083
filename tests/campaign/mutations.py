"""How files and names are damaged: bytes changed, cut, doubled, put in; what people get wrong."""

import os
import random
from collections.abc import Callable
from pathlib import Path

WORDS = (
    b"",
    b"\x00",
    b"\n",
    b"\r",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b'"',
    b",",
    b"NaN",
    b"-1",
    b"1e400",
    b"9" * 5000,
    b"[" * 3000,
    b"null",
    b"../../x",
    b"/etc/passwd",
    b"<!DOCTYPE x>",
    b"\x1b[31m",
)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content, damaged in one to four ways."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, way = rng.randrange(len(data) + 1), rng.randrange(6)
        if way == 0:
            del data[at:]
        elif way == 1:
            data[at : at + rng.randint(1, 40)] = b""
        elif way == 2:
            data[at:at] = rng.choice(WORDS)
        elif way == 3:
            data[at:at] = data[at : at + rng.randint(1, 200)]
        elif way == 4:
            data[at : at + 1] = bytes([rng.randrange(256)])
        else:
            for place in range(at, min(at + rng.randint(1, 30), len(data))):
                data[place] ^= 1 << rng.randrange(8)
    return bytes(data)


def ruin(folder: Path, rng: random.Random) -> str:
    """Damage one file below a folder, or put something else in its place: its path.

    Kinds of files are equally likely, so that the few lists are hit as often as the many images.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    suffix = rng.choice(sorted({path.suffix for path in files}))
    path = rng.choice([path for path in files if path.suffix == suffix])
    content = path.read_bytes()
    way = rng.randrange(20)
    if way < len(INSTEAD):
        path.unlink()
        INSTEAD[way](path)
    else:
        path.write_bytes(damaged(content, rng))
    return str(path.relative_to(folder))


INSTEAD: tuple[Callable[[Path], object], ...] = (
    lambda path: None,
    Path.mkdir,
    os.mkfifo,
    lambda path: path.symlink_to(path),
    lambda path: path.symlink_to("/dev/zero"),
)
"""What may stand in place of a file: nothing, a folder, a pipe, a loop, an endless file."""

PIECES = (
    *"\t\n\r\x01\x0b\x0c\x1b\x1c\x1f\x7f\x85\xa0\u2028\u2029\u202e\ufeff",
    *" '\",;:@=%&<>#*?\\|~`$()[]{}",
    "\r\n",
    "\\xff",
    "..",
    "\x1b[31m",
    "e\u0301",
    os.fsdecode(b"\xff"),
    os.fsdecode(b"\xed\xa0\x80"),
)
"""What a folder may hold in a name, and a list, a table, a page or a terminal may not."""

LONGEST = 244
"""Bytes of a name: with a hidden beginning and the writer's ending it would be too long."""


def hostile(rng: random.Random, suffix: str = "") -> str:
    """A name that a file system takes, without a suffix; with this one it is not too long."""
    if rng.randrange(8) == 0:
        letter = rng.choice(("x", "é", "\U0001d11e"))
        return letter * ((LONGEST - len(suffix)) // len(letter.encode()))
    pieces = "".join(rng.choices(PIECES, k=rng.randint(1, 3)))
    before, after = rng.choice((("a", "b"), ("", "b"), ("a", ""), ("", "")))
    name = before + pieces + after
    return name if not name.startswith(".") else f"a{name}"
