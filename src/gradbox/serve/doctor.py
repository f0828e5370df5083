"""What is wrong between Label Studio and gradbox: each usual fault in one line."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from gradbox.errors import UsageError
from gradbox.labelstudio.configuration import parse
from gradbox.serve.access import Access
from gradbox.serve.findings import Finding, labels_of_model, stored_predictions
from gradbox.serve.http import Answer, Client, Origin, RequestError, origin_of
from gradbox.serve.images import BUCKETS, LOCAL, UPLOADS, address_in
from gradbox.serve.login import Login

_MOST_TASKS = 200
"""Tasks of a project that are looked at."""


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Looks at Label Studio, its projects and their backends, and changes nothing.

    `backend` is a backend that no project may have yet; `login` is that of the backends.
    """

    access: Access
    client: Client
    backend: str | None = None
    login: Login | None = None

    @classmethod
    def of(
        cls, url: str, key: str | None, backend: str | None = None, login: Login | None = None
    ) -> "Doctor":
        """A doctor for Label Studio at an address.

        Raises:
            UsageError: an address is none.
        """
        own = [origin_of(url, "URL")]
        if backend is not None:
            own.append(origin_of(backend, "--backend"))
        client = Client(set(own))
        return cls(access=Access(url, client, key), client=client, backend=backend, login=login)

    def findings(self, project: int | None = None) -> Iterator[Finding]:
        """What is found, as it is found: of Label Studio, then of each project, or of one."""
        try:
            yield from self._label_studio(project)
        except RequestError as error:
            yield Finding(False, str(error))

    def _label_studio(self, project: int | None) -> Iterator[Finding]:
        said = self.access.ask("api/version", with_key=False).json
        if not isinstance(said, dict) or "release" not in said:
            yield Finding(False, f"{self.access.url} is no Label Studio: give its first page")
            return
        yield Finding(True, f"Label Studio {said['release']} answers at {self.access.url}")
        problem = self._key_problem()
        if problem is not None:
            yield Finding(False, problem)
            return
        kind = "personal access" if self.access.is_personal else "legacy"
        yield Finding(True, f"the {kind} token is taken")
        projects = self._projects(project)
        if not projects:
            yield Finding(False, "there is no project that this user sees: make one")
        for one in projects:
            yield from (
                Finding(finding.is_well, f"project {one['id']}: {finding.text}")
                for finding in self._project(one)
            )

    def _key_problem(self) -> str | None:
        if self.access.key is None:
            return (
                "no key: make a personal access token under Account & Settings and give it as "
                "LABEL_STUDIO_API_KEY"
            )
        answer = self.access.ask("api/current-user/whoami")
        if answer.status == 200:
            return None
        if "legacy token authentication has been disabled" in answer.text:
            return (
                "legacy tokens are off: give a personal access token, or turn legacy tokens on "
                "under Organization, Access Token Settings"
            )
        return f"the key is not taken (status {answer.status}): copy it again"

    def _projects(self, project: int | None) -> Sequence[Mapping[str, Any]]:
        if project is None:
            return _items(self.access.ask("api/projects/?page_size=100").json)
        answer = self.access.ask(f"api/projects/{project}/")
        if answer.status != 200:
            raise RequestError(f"there is no project {project} that this user sees")
        return [answer.json]

    def _project(self, project: Mapping[str, Any]) -> Iterator[Finding]:
        backends = _items(self.access.ask(f"api/ml/?project={project['id']}").json)
        addresses = dict.fromkeys([*(one["url"] for one in backends), self.backend])
        for url in filter(None, addresses):
            yield from self._blocked(int(project["id"]), url)
        if not backends:
            yield Finding(False, "no model is connected: add the backend under Settings, Model")
        for one in backends:
            yield from self._connected(one)
        about = next(filter(None, map(self._about, filter(None, addresses))), {})
        try:
            configuration = parse(str(project.get("label_config")))
        except UsageError as error:
            yield Finding(False, str(error))
            return
        yield from labels_of_model(configuration, about)
        tasks = self._tasks(int(project["id"]))
        if not tasks:
            yield Finding(False, "there are no tasks: import images")
            return
        yield from stored_predictions(
            tasks, configuration, [one["model_version"] for one in backends]
        )
        yield from self._images(tasks, configuration.key, about)

    def _tasks(self, project: int) -> Sequence[Mapping[str, Any]]:
        """The first tasks; in review, as else Label Studio may ask the backend for all of them."""
        path = f"api/tasks?project={project}&page_size={_MOST_TASKS}&fields=all&review=true"
        return _items(self.access.ask(path).json, "tasks")

    def _blocked(self, project: int, url: str) -> Iterator[Finding]:
        """Whether Label Studio may talk to a backend at all.

        The calls are refused for what they lack after the address was looked at, so they change
        nothing.
        """
        incomplete = {"project": project, "url": url, "auth_method": "BASIC_AUTH"}
        hook = {"project": project, "url": url.rstrip("/") + "/webhook", "actions": ["NONE"]}
        tried = {
            "models, ML_BLOCK_LOCAL_IP=false": self._post("api/ml/", incomplete),
            "webhooks, SSRF_PROTECTION_ENABLED=false": self._post("api/webhooks/", hook),
        }
        blocked = [name for name, answer in tried.items() if "reserved network" in answer.text]
        unknown = [a for a in tried.values() if "resolve hostname" in a.text]
        if blocked:
            yield Finding(
                False,
                f"{url} is a local or private address, as those of Docker networks are, and Label "
                "Studio blocks it: start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false in its "
                f"environment, or for {'; for '.join(blocked)}",
            )
        elif unknown:
            yield Finding(False, f"{url}: Label Studio cannot resolve this name: mend the address")

    def _post(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self.access.asking(
            lambda headers: self.client.request(
                "POST", self.access.at(path), headers=headers, body=body
            )
        )

    def _connected(self, backend: Mapping[str, Any]) -> Iterator[Finding]:
        name = f"the model {backend['title']!r} at {backend['url']}"
        if backend["state"] == "DI":
            yield Finding(
                False,
                f"{name} does not answer Label Studio: start it, or mend its address or login",
            )
            return
        if backend["state"] == "ER":
            yield Finding(False, f"{name} does not take the project: {backend['error_message']}")
            return
        said = self.access.ask(f"api/ml/{backend['id']}/versions").json
        versions = said.get("versions", []) if isinstance(said, dict) else []
        if backend["model_version"] not in versions:
            yield Finding(
                False,
                f"{name} is now {', '.join(map(str, versions)) or 'of no version'}, and Label "
                f"Studio knows {backend['model_version']}: each call stores predictions again; let "
                "it update the version by itself (auto_update)",
            )
        else:
            yield Finding(True, f"{name} answers as {backend['model_version']}")

    def _about(self, url: str) -> Mapping[str, Any]:
        """What a backend says of itself; nothing where it cannot be reached from here."""
        try:
            origin = Origin.of(url)
            client = Client({origin})
            headers = {} if self.login is None else {"Authorization": self.login.header}
            said = client.request("GET", url.rstrip("/") + "/about", headers={origin: headers}).json
        except RequestError:
            return {}
        return said if isinstance(said, dict) else {}

    def _images(
        self, tasks: Sequence[Mapping[str, Any]], key: str, about: Mapping[str, Any]
    ) -> Iterator[Finding]:
        """Whether the backend can get the images: one of each kind of address is tried."""
        addresses = [address_in(task.get("data"), key, task.get("id")) for task in tasks]
        if lacking := addresses.count(None):
            yield Finding(False, f"{lacking} tasks have no address at {key!r}")
        kinds = {_kind(address): address for address in reversed(addresses) if address}
        named = {Origin.of(url) for url in about.get("images_from", [])}
        client = Client({*self.client.allowed, *named})
        access = replace(self.access, client=client)
        for kind, address in sorted(kinds.items()):
            try:
                problem = _image_problem(access, kind, address, about)
            except RequestError as error:
                problem = f"{address}: {error}; gradbox serve needs its host as --images-from"
            yield Finding(problem is None, problem or f"images such as {address} can be read")


def _image_problem(access: Access, kind: str, address: str, about: Mapping[str, Any]) -> str | None:
    """What keeps a backend that says this of itself from an image, if anything does."""
    if kind in (LOCAL, "path"):
        if about.get("has_root"):
            return None
        if kind == "path":
            return f"{address} is a path: start gradbox serve with --root, its folder"
    if kind not in (LOCAL, UPLOADS, BUCKETS, "page"):
        known = [about.get("label_studio"), *about.get("images_from", [])]
        if kind.startswith("http") and (kind in known or not about):
            return None
        wanted = f"--images-from {kind}" if kind.startswith("http") else "http addresses"
        return f"{address} may not be read by gradbox serve: it needs {wanted}"
    without = access.ask(address, with_key=False).status
    if without in (401, 403) and about and not about.get("has_key"):
        return (
            f"{address} needs a key, which gradbox serve has not: start it with "
            "--label-studio and LABEL_STUDIO_API_KEY"
        )
    answer = access.ask(address)
    if answer.status == 200:
        return None
    if kind == LOCAL and "disabled by default" in answer.text:
        return (
            f"{address}: local files are off: start Label Studio with "
            "LOCAL_FILES_SERVING_ENABLED=true and LOCAL_FILES_DOCUMENT_ROOT=DIR"
        )
    if kind == LOCAL:
        return (
            f"{address}: no such file, or no local storage of the project holds it: add its "
            "folder under Settings, Cloud Storage, Local files"
        )
    if kind == BUCKETS:
        return (
            f"{address}: Label Studio cannot get the file (status {answer.status}): add its bucket "
            "under Settings, Cloud Storage, or mend its credentials"
        )
    return f"{address} cannot be fetched (status {answer.status}): import the file again"


def _kind(address: str) -> str:
    """How an image is reached: the start of its path in Label Studio, an origin, or a scheme."""
    parts = urlsplit(address)
    if parts.scheme in ("http", "https"):
        return str(Origin.of(address))
    if parts.scheme:
        return parts.scheme
    for start in (LOCAL, UPLOADS, BUCKETS):
        if start in parts.path:
            return start
    return "page" if address.startswith("/") else "path"


def _items(said: Any, key: str = "results") -> Sequence[Mapping[str, Any]]:
    """The items of a list that comes in pages, or as it is."""
    found = said.get(key, []) if isinstance(said, dict) else said
    return found if isinstance(found, list) else []
