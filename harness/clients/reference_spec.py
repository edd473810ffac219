"""The reference client with the policy `spec`: any answer but a good stream ends it, as in a browser."""

from dataclasses import replace

from harness.clients import Session
from harness.clients.reference import Driver, options_of
from harness.subscriber import CAPABILITIES as BY_POLICY
from harness.subscriber import Subscriber

CAPABILITIES = BY_POLICY["spec"] | {"configurable"}


async def subscribe(session: Session) -> None:
    """One subscriber, until it fails for good or is cancelled."""
    options = replace(options_of(session), policy="spec")
    await Driver(session, Subscriber(options, rng=session.rng)).run()
