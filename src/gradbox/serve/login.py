"""The basic access authentication of a server: who may ask it."""

import base64
import secrets
from dataclasses import dataclass, field

from gradbox.errors import UsageError


@dataclass(frozen=True)
class Login:
    """A user and a password."""

    user: str
    password: str = field(repr=False)

    @property
    def header(self) -> str:
        """What a request says that may ask."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def lets_in(self, header: str) -> bool:
        """Whether a request that says this may ask; as long for a wrong password as for a right."""
        return secrets.compare_digest(header.encode(), self.header.encode())


def login(user: str | None, password: str | None) -> Login | None:
    """The login of two options, None where nothing is asked for.

    Raises:
        UsageError: one without the other, or a user with a colon.
    """
    if user is None and password is None:
        return None
    if not user or not password:
        raise UsageError(
            "a login is both: --user NAME, and the password in the environment as GRADBOX_PASSWORD"
        )
    if ":" in user:
        raise UsageError(f"--user {user}: basic authentication has no user with a colon")
    return Login(user, password)
