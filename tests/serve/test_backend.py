"""The protocol, over real sockets: what Label Studio asks, and what it does with the answers."""

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeLocalizer
from hosts import answering, call
from networks import classifier, network
from PIL import Image

from gradbox.errors import UsageError
from gradbox.labelstudio.configuration import written
from gradbox.serve.building import backend
from gradbox.serve.images import Places, places
from gradbox.serve.labels import Labels
from gradbox.serve.login import Login, login

NAMES = ("cat", "dog", "bird", "fish", "cow", "owl")
CONFIG = written(["cat", "dog"])
FAKE = FakeLocalizer()


@dataclass(frozen=True)
class Slow(FakeLocalizer):
    """The fake, which takes its time for each image, and counts them."""

    seconds: float = 0.0
    counted: tuple[list[int], ...] = ([],)

    def localize(self, batch, *, details=False):
        time.sleep(self.seconds * len(batch))
        self.counted[0].append(len(batch))
        return super().localize(batch, details=details)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    for i in range(12):
        Image.new("RGB", (40, 20), (20 * i, 0, 0)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def serve(root: Path) -> Iterator[Any]:
    with ExitStack() as stack:

        def start(method: Any = FAKE, **options: Any) -> str:
            options = {"labels": Labels({}), "log": lambda _: None, "batch_size": 4, **options}
            options.setdefault("places", places(None, None, [], root))
            made = backend(classifier(network(6), class_names=NAMES), method=method, **options)
            stack.enter_context(made.predictor)
            return stack.enter_context(answering(made.app()))

        yield start


def tasks(*names: str) -> list[dict[str, Any]]:
    return [{"id": 100 + i, "data": {"image": name}} for i, name in enumerate(names)]


def ask(url: str, *names: str, config: str = CONFIG) -> list[dict[str, Any]]:
    status, said = call(f"{url}/predict", {"tasks": tasks(*names), "label_config": config})
    assert status == 200
    assert len(said["results"]) == len(names)
    return said["results"]


def test_every_answer_says_the_same_version(serve):
    url = serve()
    _, health = call(f"{url}/health")
    assert health["status"] == "UP"
    setup = {
        "project": "1.2",
        "schema": CONFIG,
        "hostname": "http://elsewhere",
        "access_token": "t",
    }
    said = [
        health["model_version"],
        call(f"{url}/setup", setup)[1]["model_version"],
        call(f"{url}/versions?project=1.2")[1]["versions"][0],
        ask(url, "0.png")[0]["model_version"],
        call(f"{url}/about")[1]["model_version"],
    ]
    assert len(set(said)) == 1
    assert said[0].startswith("gradbox ")


def test_other_classes_labels_or_scores_are_another_version(serve):
    # What changes the answer has to change the version, or Label Studio keeps the old one.
    versions = [
        call(f"{serve(**options)}/health")[1]["model_version"]
        for options in (
            {},
            {"classes": ["dog"]},
            {"labels": Labels({"cat": "dog"})},
            {"method": "gradcam"},
            {"method": "gradcam", "box": "threshold(0.3)"},
            {"batch_size": 2},
        )
    ]
    assert len(set(versions)) == 5
    assert versions[0] == versions[5]  # which changes no box


def test_entries_stand_in_the_order_of_the_tasks_and_failures_have_no_result(serve, root):
    (root / "broken.png").write_bytes(b"no image")
    names = ["3.png", "missing.png", "1.png", "broken.png", "", "../up.png", "3.png"]
    entries = ask(serve(), *names)
    assert ["result" in one for one in entries] == [True, False, True, False, False, False, True]
    said = [one.get("error", "") for one in entries]
    assert "no such file" in said[1]
    assert "no image of a known format" in said[3]
    assert "no address of an image at 'image'" in said[4]
    assert "leads out" in said[5]
    # The fake's box: the middle half of the image, in percent.
    value = entries[0]["result"][0]["value"]
    assert value == {
        "x": 25.0,
        "y": 25.0,
        "width": 50.0,
        "height": 50.0,
        "rotation": 0,
        "rectanglelabels": ["cat"],
    }


def test_what_the_method_fails_for_has_no_result(serve):
    # Ids count from 0 in each batch of the model's; one image at a time, so every one fails.
    entries = ask(serve(FakeLocalizer(failing=("0",)), batch_size=1), "1.png", "2.png")
    assert [one.get("error") for one in entries] == ["the fake fails here"] * 2


def test_nothing_there_is_a_result_and_no_label_is_none(serve):
    url = serve("gradcam", classes=["fish"])
    (entry,) = ask(url, "1.png")
    assert "result" not in entry
    assert entry["error"] == "the labelling configuration has no label 'fish'"
    url = serve("gradcam", classes=["fish"], labels=Labels({"*": "dog"}))
    assert ask(url, "1.png")[0]["result"][0]["value"]["rectanglelabels"] == ["dog"]


def test_equal_images_are_localized_once(serve, root):
    counted: list[int] = []
    url = serve(Slow(counted=(counted,)))
    first = ask(url, "1.png", "2.png")
    (root / "copy.png").write_bytes((root / "1.png").read_bytes())
    again = ask(url, "copy.png", "2.png", "1.png")
    assert [one["result"] for one in again] == [first[i]["result"] for i in (0, 1, 0)]
    assert sum(counted) == 2
    # Other labels are another answer from the same boxes.
    assert ask(url, "1.png", config=written(["cat"], ["keypoint"]))[0]["result"][0]["type"] == (
        "keypointlabels"
    )
    assert sum(counted) == 2


def test_an_image_that_has_changed_is_localized_anew(serve, root):
    counted: list[int] = []
    url = serve(Slow(counted=(counted,)))
    ask(url, "1.png")
    Image.new("RGB", (80, 20)).save(root / "1.png")
    assert ask(url, "1.png")[0]["result"][0]["original_width"] == 80
    assert sum(counted) == 2


def test_calls_are_answered_in_time_and_go_on_meanwhile(serve):
    # 12 images of 0.1 s each in batches of 4, answered after 0.6 s: not all are there. The rest
    # goes on, so a later call has them all, and no image runs twice.
    counted: list[int] = []
    url = serve(Slow(seconds=0.1, counted=(counted,)), seconds=0.6)
    names = [f"{i}.png" for i in range(12)]
    first = ask(url, *names)
    assert sum("result" in one for one in first) < 12
    assert {one.get("error") for one in first} <= {None, "not done in time: ask again"}
    until = time.monotonic() + 30
    while not all("result" in one for one in ask(url, *names)):
        assert time.monotonic() < until
    assert sum(counted) == 12


def test_one_image_goes_before_many_and_health_is_answered_meanwhile(serve):
    url = serve(Slow(seconds=0.05), batch_size=2)
    with ThreadPoolExecutor() as pool:
        many = pool.submit(ask, url, *[f"{i}.png" for i in range(11)])
        time.sleep(0.15)
        started = time.monotonic()
        assert call(f"{url}/health")[0] == 200
        assert time.monotonic() - started < 0.5
        assert "result" in ask(url, "11.png")[0]
        assert not many.done()
        assert all("result" in one for one in many.result())


def test_a_model_that_raises_fails_its_images_and_goes_on(serve):
    @dataclass(frozen=True)
    class Raising(FakeLocalizer):
        def localize(self, batch, *, details=False):
            if batch.frames[0].original == (20, 40):
                raise RuntimeError("out of luck")
            return super().localize(batch, details=details)

    url = serve(Raising())
    assert "out of luck" in ask(url, "1.png")[0]["error"]
    assert call(f"{url}/health")[0] == 200
    assert "out of luck" in ask(url, "2.png")[0]["error"]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("predict", b"{", "is no JSON"),
        ("predict", b"[" * 100_000, "is no JSON"),
        ("predict", [], "is no JSON object"),
        ("predict", {}, "no list of tasks"),
        ("predict", {"tasks": ["x"]}, "no list of tasks"),
        ("predict", {"tasks": []}, "no labelling configuration"),
        ("predict", {"tasks": [], "label_config": "<View/>"}, "has no <Image"),
        ("setup", {"schema": "<View/>"}, "has no <Image"),
        ("setup", {"schema": written(["cat"], ["brush"])}, "start it with --masks"),
    ],
)
def test_a_call_that_cannot_be_answered_is_one_line(serve, path, body, said):
    status, answer = call(f"{serve()}/{path}", body)
    assert status == 400
    assert said in answer["error"]
    assert "\n" not in answer["error"]


def test_a_page_in_a_browser_cannot_ask(serve):
    # Without asking first, a page may send text/plain, and no application/json.
    status, said = call(f"{serve()}/predict", {"tasks": []}, **{"Content-Type": "text/plain"})
    assert (status, said["error"]) == (400, "the call is no application/json")


def test_no_tasks_are_no_entries(serve):
    assert ask(serve()) == []


def test_a_login_is_asked_for_everywhere_but_at_the_webhook(serve, capfd):
    url = serve(login=Login("ann", "käse:1"))
    right = {"Authorization": "Basic " + base64.b64encode("ann:käse:1".encode()).decode()}
    for path, body in (("health", None), ("setup", {"schema": CONFIG}), ("versions", None)):
        assert call(f"{url}/{path}", body)[0] == 401
        for wrong in ("Basic x", "Bearer x", "Basic " + base64.b64encode(b"ann:").decode(), "ä"):
            assert call(f"{url}/{path}", body, Authorization=wrong)[0] == 401
        assert call(f"{url}/{path}", body, **right)[0] == 200
    body = {"action": "PROJECT_UPDATED", "project": {"token": "top-secret"}}
    assert call(f"{url}/webhook", body) == (200, {})
    assert call(f"{url}/webhook", b"no JSON") == (200, {})
    assert "top-secret" not in "".join(capfd.readouterr())


def test_a_login_is_a_user_and_a_password():
    assert login(None, None) is None
    assert login("a", "b") == Login("a", "b")
    assert "b" not in repr(Login("a", "bbb")).replace("Login", "")
    for user, password in (("a", None), (None, "b"), ("a", ""), ("a:b", "c")):
        with pytest.raises(UsageError):
            login(user, password)


def test_the_address_that_setup_names_is_never_asked(serve):
    # Label Studio sends its own address and a key of its user; neither is used.
    asked = threading.Event()

    @dataclass(frozen=True, kw_only=True)
    class Watched(Places):
        def file(self, address, spool):
            asked.set()
            return super().file(address, spool)

    plain = places(None, None, [], None)
    url = serve(places=Watched(client=plain.client))
    setup = {"schema": CONFIG, "hostname": url, "access_token": "t"}
    assert call(f"{url}/setup", setup)[0] == 200
    assert not asked.is_set()
    assert "--label-studio" in ask(url, "/data/upload/1/a.png")[0]["error"]


def test_masks_where_they_are_asked_for(serve):
    config = written(["cat", "dog", "bird", "fish", "cow", "owl"], ["rectangle", "brush"])
    without = ask(serve("gradcam"), "1.png", config=config)[0]
    assert {one["type"] for one in without["result"]} == {"rectanglelabels"}
    entry = ask(serve("gradcam", masks=True), "1.png", config=config)[0]
    assert "rectanglelabels" in {one["type"] for one in entry["result"]}


def test_a_range_of_a_data_set_is_refused():
    seen = classifier(network(6), class_names=NAMES)
    from dataclasses import replace

    from gradbox.images.reading import Reading

    reading = Reading(range="percentile(1, 99, over=dataset)")
    measured = replace(seen, preprocessing=replace(seen.preprocessing, reading=reading))
    with pytest.raises(UsageError, match="no data set to measure a range over"):
        backend(measured, places=places(None, None, [], None), labels=Labels({}))
