"""Where images may come from, tried with hosts that answer as an attacker would have them."""

import base64
import hashlib
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hosts import give, host
from PIL import Image

from gradbox.errors import ImageError, UsageError
from gradbox.serve import http
from gradbox.serve.http import Client, Origin, RequestError
from gradbox.serve.images import Places, address_in, places

KEY = "0123456789abcdef"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "root" / "folder" / "a b.png"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (6, 4), "red").save(path)
    return path


def read(where: Places, address: str, spool: Path) -> bytes:
    with where.file(address, spool) as (path, sha256):
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == sha256
    return content


def refusal(where: Places, address: str, spool: Path) -> str:
    with pytest.raises(ImageError) as error, where.file(address, spool):
        pass
    assert "\n" not in str(error.value)
    return str(error.value)


def test_an_image_of_label_studio_is_fetched_with_the_key_and_leaves_no_file(picture, tmp_path):
    content = picture.read_bytes()
    with host(lambda it: give(it, content)) as (url, asked):
        where = places(url, KEY, [], None)
        spool = tmp_path / "spool"
        spool.mkdir()
        for address in ("/data/upload/1/a.png", f"{url}/data/upload/1/a.png"):
            assert read(where, address, spool) == content
        assert list(spool.iterdir()) == []
        assert [path for path, _ in asked] == ["/data/upload/1/a.png"] * 2
        assert {headers["Authorization"] for _, headers in asked} == {f"Token {KEY}"}


def test_below_a_path_of_its_host(picture, tmp_path):
    # Label Studio at http://host/studio writes its own path before the files', or does not.
    with host(lambda it: give(it, b"x")) as (url, asked):
        where = places(f"{url}/studio/", None, [], None)
        for address in ("/data/upload/1/a.png", "/studio/data/upload/1/a.png"):
            read(where, address, tmp_path)
        assert [path for path, _ in asked] == ["/studio/data/upload/1/a.png"] * 2


def test_another_host_is_asked_only_where_it_is_named_and_never_gets_the_key(tmp_path):
    with (
        host(lambda it: give(it, b"x")) as (studio, _),
        host(lambda it: give(it, b"y")) as (
            other,
            asked,
        ),
    ):
        alone = places(studio, KEY, [], None)
        assert "none of the places" in refusal(alone, f"{other}/a.png", tmp_path)
        assert asked == []
        assert read(places(studio, KEY, [other], None), f"{other}/a.png", tmp_path) == b"y"
        assert "Authorization" not in asked[0][1]


def test_a_redirect_leads_only_to_places_that_are_named_and_takes_no_key_along(tmp_path):
    with host(lambda it: give(it, b"y")) as (other, asked):
        with host(lambda it: give(it, status=302, Location=f"{other}/b")) as (studio, _):
            assert "none of the places" in refusal(places(studio, KEY, [], None), "/a", tmp_path)
            assert asked == []
            assert read(places(studio, KEY, [other], None), "/a", tmp_path) == b"y"
            assert "Authorization" not in asked[0][1]
    with host(lambda it: give(it, status=302, Location="/again")) as (url, asked):
        assert "redirects more than 3" in refusal(places(url, None, [], None), "/a", tmp_path)
        assert len(asked) == 4
    for target in ("file:///etc/passwd", "ftp://127.0.0.1/", "//[bad", "gopher://x"):
        with host(lambda it, to=target: give(it, status=302, Location=to)) as (url, _):
            assert refusal(places(url, None, [], None), "/a", tmp_path)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:169.254.1.1"]
)
def test_no_name_leads_where_clouds_keep_their_secrets(address, monkeypatch):
    origin = Origin.of("http://images.example")
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(RequestError, match="which no host for images has"):
        Client([origin]).request("GET", "http://images.example/a.png")


def test_a_public_name_is_refused_a_private_address(monkeypatch):
    # DNS rebinding: the name is the same, its address is not.
    origin = Origin.of("http://images.example")
    client = Client([origin], seconds=0.2)
    now = ["93.184.216.34"]
    answer = lambda *_, **__: [(2, 1, 6, "", (now[0], 80))]  # noqa: E731
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert client._address(origin) == now[0]
    now[0] = "127.0.0.1"
    with pytest.raises(RequestError, match="had a public address and now has"):
        client.request("GET", "http://images.example/a.png")
    # One that was private from the start is whom the user named.
    assert Client([origin])._address(origin) == "127.0.0.1"


def test_too_much_and_too_slow_are_given_up(tmp_path):
    def drip(it):
        it.send_response(200)
        it.end_headers()
        for _ in range(100):
            it.wfile.write(b"x" * 100)
            time.sleep(0.02)

    with host(drip) as (url, _):
        small = Client([Origin.of(url)], max_bytes=1000)
        with pytest.raises(RequestError, match="sends more than"):
            small.request("GET", url)
        started = time.monotonic()
        with pytest.raises(RequestError, match=r"takes longer|does not answer"):
            replace(small, max_bytes=10**6, seconds=0.3).request("GET", url)
        assert time.monotonic() - started < 1


def test_a_body_is_taken_as_it_is(tmp_path):
    # A bomb of gzip would be one if it were unpacked.
    with host(lambda it: give(it, b"packed", **{"Content-Encoding": "gzip"})) as (url, asked):
        assert read(places(url, None, [], None), "/a", tmp_path) == b"packed"
        assert asked[0][1]["Accept-Encoding"] == "identity"


def test_who_does_not_answer_is_one_line(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        said = refusal(places(url, None, [], None), "/a.png", tmp_path)
    assert said.startswith(f"{url} does not answer (")
    assert "cannot be found" in refusal(
        places("http://no-such-host.invalid", None, [], None), "/a.png", tmp_path
    )


@pytest.mark.parametrize(
    ("status", "key", "said"),
    [
        (401, None, "LABEL_STUDIO_API_KEY"),
        (403, KEY, "may not see the image"),
        (404, KEY, "status 404"),
        (500, None, "status 500"),
    ],
)
def test_what_label_studio_refuses_is_one_line(status, key, said, tmp_path):
    with host(lambda it: give(it, b"no", status=status)) as (url, _):
        assert said in refusal(places(url, key, [], None), "/a.png", tmp_path)


def test_a_personal_access_token_is_exchanged_once_and_anew_when_it_runs_out(tmp_path):
    made = []

    def studio(it):
        if it.path == "/api/token/refresh/":
            length = int(it.headers["Content-Length"])
            assert it.rfile.read(length) == b'{"refresh":"a.b.c"}'
            made.append(f"access-{len(made)}")
            give(it, f'{{"access": "{made[-1]}"}}'.encode())
        else:
            good = it.headers["Authorization"] == f"Bearer {made[-1]}"
            give(it, b"x" if good else b"", status=200 if good else 401)

    with host(studio) as (url, asked):
        where = places(url, "a.b.c", [], None)
        for _ in range(3):
            assert read(where, "/a.png", tmp_path) == b"x"
        assert made == ["access-0"]
        made.append("another")  # as if Label Studio had forgotten the first
        assert read(where, "/a.png", tmp_path) == b"x"
        assert made == ["access-0", "another", "access-2"]
        assert all("a.b.c" not in str(headers) for _, headers in asked)
    with host(lambda it: give(it, b"{}", status=401)) as (url, _):
        said = refusal(places(url, "a.b.c", [], None), "/a.png", tmp_path)
        assert "does not take the token" in said


def test_what_lies_in_a_bucket_is_asked_of_label_studio(tmp_path):
    # Label Studio sends a redirect to an address that is signed, of a host that has to be named.
    address = address_in({"photo": "s3://bucket/a b.png"}, "photo", 7)
    with host(lambda it: give(it, b"y")) as (bucket, asked):
        with host(lambda it: give(it, status=303, Location=f"{bucket}/b?signed=1")) as (url, own):
            assert "none of the places" in refusal(places(url, KEY, [], None), address, tmp_path)
            assert read(places(url, KEY, [bucket], None), address, tmp_path) == b"y"
    path, _, encoded = own[0][0].partition("?fileuri=")
    assert path == "/tasks/7/resolve/"
    assert base64.urlsafe_b64decode(encoded) == b"s3://bucket/a b.png"
    assert "Authorization" not in asked[0][1]
    assert address_in({"photo": "/data/upload/1/a.png"}, "photo", 7) == "/data/upload/1/a.png"
    for data in ({}, {"photo": ""}, {"photo": 7}, None, "x"):
        assert address_in(data, "photo", 7) is None


def test_files_below_the_root(picture, tmp_path):
    where = places(None, None, [], picture.parents[1])
    for address in ("/data/local-files/?d=folder/a%20b.png", "folder/a b.png", "folder/a%20b.png"):
        assert read(where, address, tmp_path) == picture.read_bytes()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (picture.parent / "link.png").symlink_to(tmp_path / "secret.png")
    for address in (
        "/data/local-files/?d=../secret.png",
        "/data/local-files/?d=folder/../../secret.png",
        "../secret.png",
        "folder/link.png",
        "%2e%2e/secret.png",
    ):
        assert "leads out" in refusal(where, address, tmp_path)
    # An absolute path is below the root, too, as Label Studio takes it.
    assert "no such file" in refusal(where, "/data/local-files/?d=/etc/passwd", tmp_path)
    assert refusal(where, "/data/local-files/?d=a%00b", tmp_path)
    assert "is a folder" in refusal(where, "/data/local-files/", tmp_path)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("redis://host/a.png", "redis is not read here"),
        ("data:image/png;base64,AAAA", "data is not read here"),
        ("file:///etc/passwd", "file is not read here"),
        ("folder/a.png", "a path is not read here"),
        ("/data/upload/1/a.png", "--label-studio"),
        ("http://[::1", "is no address"),
        ("http://127.0.0.1:99999/", "is no address"),
    ],
)
def test_what_is_no_address_here(address, said, tmp_path):
    assert said in refusal(places(None, None, [], None), address, tmp_path)


def test_options_that_make_no_sense():
    for arguments, said in (
        (("localhost:8080", None, [], None), "--label-studio 'localhost:8080' is no address"),
        ((None, KEY, [], None), "give its address as --label-studio"),
        ((None, None, ["ftp://x"], None), "--images-from 'ftp://x' is no address"),
        ((None, None, [], Path("/no/such/folder")), "there is no such folder"),
    ):
        with pytest.raises(UsageError, match=said):
            places(*arguments)


def test_limits_are_as_documented():
    assert (http.MAX_BYTES, http.MAX_REDIRECTS, http.SECONDS) == (100_000_000, 3, 20)
