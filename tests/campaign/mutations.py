"""How files are damaged: bytes changed, cut, doubled, put in, and what people get wrong in text."""

import random

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
