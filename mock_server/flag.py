"""The feature flag `enable_sse_streaming`, asked for through OpenFeature: for whom streaming is on.

Theory.  A user's place between 0 and 100 is a hash of the flag's key and the user's name, so it is the same in every
process and after every restart (sticky), and whoever is below one percentage is below every higher one (monotone).
`Percentage` is the provider that decides so; `Flag` is what the control plane sets and the server asks, and it asks
as any application would: a client of the SDK, a boolean value, the user as targeting key.
"""

import hashlib
import itertools
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, NoReturn

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from harness.errors import HarnessError

NAME: Final = "enable_sse_streaming"
MOST_USERS: Final = 10_000


class Percentage(AbstractProvider):
    """An OpenFeature provider with this one boolean flag; `decide` says for whom it is on."""

    def __init__(self, decide: Callable[[str], bool]) -> None:
        super().__init__()
        self._decide = decide

    def get_metadata(self) -> Metadata:
        return Metadata(name="percentage")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        if flag_key != NAME:
            raise FlagNotFoundError(f"there is no flag {flag_key!r}; the one there is is {NAME}")
        if evaluation_context is None or not evaluation_context.targeting_key:
            raise TargetingKeyMissingError("the targeting key of this flag is the user's name")
        on = self._decide(evaluation_context.targeting_key)
        return FlagResolutionDetails(on, reason=Reason.SPLIT, variant="on" if on else "off")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        _no_boolean()

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        _no_boolean()

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        _no_boolean()

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        _no_boolean()


def _no_boolean() -> NoReturn:
    raise TypeMismatchError(f"{NAME} is a boolean")


class Flag:
    """On for a user if said so by name, else if it is enabled and the user's place is below the percentage."""

    def __init__(
        self,
        enabled: bool = True,
        percent: float = 100.0,
        users: Mapping[str, bool] | None = None,
        *,
        defects: Collection[str] = frozenset(),
    ) -> None:
        self.enabled = enabled
        self.percent = percent
        self.users = dict(users or {})
        self._defects = defects
        self._asked = itertools.count()
        # The SDK keeps its providers by domain for a whole process; each flag has one of its own.
        self._domain = f"{NAME}-{secrets.token_hex(4)}"
        api.set_provider_and_wait(Percentage(self._decide), self._domain)
        self._client = api.get_client(self._domain)

    def is_on(self, user: str) -> bool:
        """Whether streaming is on for this user."""
        return self._client.get_boolean_value(NAME, False, EvaluationContext(user))

    def _decide(self, user: str) -> bool:
        return self.users.get(user, self.enabled and self._place(user) < self.percent)

    def _place(self, user: str) -> float:
        if "flag-not-sticky" in self._defects:
            return place(f"{user}?{next(self._asked)}")
        if "flag-not-sticky-over-restart" in self._defects:
            return place(f"{user}?{self._domain}")
        if "flag-not-monotone" in self._defects:
            return place(f"{user}@{self.percent:g}")
        return place(user) / 2 if "flag-wrong-share" in self._defects else place(user)

    def set(self, *, enabled: bool | None = None, percent: float | None = None, user: str | None = None) -> None:
        """Change it: for one user by name, or for everybody, which forgets who was named. Raises HarnessError."""
        if enabled is None and percent is None:
            raise HarnessError("a flag is set with `enabled` (for all, or for `user`) or with `percent`; give one")
        if percent is not None and not 0 <= percent <= 100:
            raise HarnessError(f"percent of the flag is 0 to 100, not {percent}")
        if user is not None and enabled is not None:
            if len(self.users) >= MOST_USERS and user not in self.users:
                raise HarnessError(f"the flag knows {MOST_USERS} users by name already; use `percent`")
            self.users[user] = enabled
            return
        if enabled is not None:
            self.enabled = enabled
            self.users.clear()
        self.percent = self.percent if percent is None else percent

    def as_dict(self) -> dict[str, Any]:
        return {"enabled": self.enabled, "percent": self.percent, "users": dict(self.users)}


def place(user: str) -> float:
    """The user's fixed place on the way from 0 to 100 %."""
    digest = hashlib.sha256(f"{NAME}:{user}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100
