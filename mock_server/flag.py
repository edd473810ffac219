"""The feature flag `enable_sse_streaming`: for whom streaming is on. Sticky and monotone over a rollout."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from harness.errors import HarnessError

NAME: Final = "enable_sse_streaming"
MOST_USERS: Final = 10_000


@dataclass(slots=True)
class Flag:
    """On for a user if said so by name, else if it is enabled and the user's place is below the percentage."""

    enabled: bool = True
    percent: float = 100.0
    users: dict[str, bool] = field(default_factory=dict)

    def is_on(self, user: str) -> bool:
        return self.users.get(user, self.enabled and place(user) < self.percent)

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
