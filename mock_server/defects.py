"""Named defects: each is one deliberate breach of what the server promises, switched on to see whether a check rings.

The table is the one place that names them; where the good behaviour is decided stands one `if` that asks for it.
"""

from collections.abc import Mapping
from typing import Final

from harness.errors import HarnessError

DEFECTS: Final[Mapping[str, str]] = {
    "ignores-last-event-id": "a resume is treated as a first connection: nothing is replayed, nothing is said",
    "replays-one-too-many": "the replay begins with the event that the client already has",
    "replays-one-too-few": "the replay leaves out the first event after the last event ID",
    "replays-twice": "the whole replay comes twice",
    "repeats-the-last-event": "a resume that missed nothing begins with the event that the client already has",
    "serves-one-stream": "of several streams of a user the latest alone gets what is published",
    "loses-handover": "the first live event after a resume is lost",
    "leaks-to-other-user": "events of one user reach the streams of every user",
    "no-heartbeat": "no heartbeats",
    "no-heartbeat-on-resume": "no heartbeats on a stream that was resumed",
    "heartbeat-with-id": "a heartbeat carries an id of its own, which becomes the client's last event ID",
    "limit-one-too-many": "a user may have one stream more than the limit",
    "limit-one-too-few": "a user may have one stream less than the limit",
    "never-frees-slot": "the slot of a stream that ended is never given back",
    "resume-frees-slot-twice": "a stream that was resumed gives back two slots when it ends",
    "limit-per-token": "each token of a user may have as many streams as the limit",
    "kill-switch-keeps-slots": "the slots of the streams that the flag has ended are never given back",
    "accepts-no-token": "a request without a token is let in (as the user `anonymous`)",
    "checks-no-signature": "any signature of the right length will do",
    "accepts-expired-token": "an expired token is let in, and a stream outlives its token",
    "expires-only-on-event": "a stream outlives its token until the next event is due",
    "accepts-no-token-on-resume": "a request with a last event ID is let in without a valid token",
    "accepts-expired-token-on-resume": "a request with a last event ID is let in with an expired token",
    "reuses-ids-after-restart": "after a crash the epoch stays and the numbers begin with 1 again",
    "forgets-on-graceful-restart": "a graceful restart forgets the replay buffer, as a crash does",
    "ignores-flag": "a new stream is let in although the flag is off; live ones end",
    "ignores-kill-switch": "live streams go on when the flag is switched off",
    "kill-switch-only-on-event": "live streams go on when the flag is switched off until the next event is published",
    "kill-switch-mutes": "live streams fall silent when the flag is switched off, and stay open",
    "buffers-2s": "the stream is delivered in batches, one every 2 s",
    "bare-lf": "data with line feeds is not split into data lines",
    "no-retry-after": "the 429 has no Retry-After",
    "retry-after-soon": "the Retry-After of the 429 is neither a number nor a date",
    "wrong-content-type": "the stream is sent as text/plain",
    "cacheable": "the stream has no Cache-Control and no X-Accel-Buffering",
    "late-headers": "the head of the response waits for the first event",
    "late-headers-on-resume": "the head of the response to a resume waits for the first event or heartbeat",
    "resets-needlessly": "every resume is answered with a reset, though its id is in the buffer",
    "resets-in-between": "each heartbeat is followed by a reset, though nothing is missing",
    "silent-loss-when-too-old": "a resume whose id is too old goes on with what there is and says nothing",
    "breaks-schema": "the body of an event has fields of the wrong type",
    "nul-in-id": "ids contain a NUL, so that no client can take them",
    "refuses-one-user": "the first user that asks is answered 503, each time",
    "refuses-resumes": "whoever comes back with a last event ID is answered 404",
    "flag-not-sticky": "for whom the flag is on is drawn anew each time that it is asked for",
    "flag-not-sticky-over-restart": "each start of the server chooses anew for whom the flag is on",
    "flag-not-monotone": "each percentage of the flag chooses its users anew",
    "flag-wrong-share": "the flag is on for twice as many users as it should be",
    "rest-twin-differs": "the dashboard's answer shows whether the flag is on",
    "errors-after-rollback": "REST answers 500 for some seconds after the flag went off under live streams",
}


def known(name: str) -> str:
    """The name, if there is such a defect. Raises HarnessError."""
    if name not in DEFECTS:
        raise HarnessError(f"there is no defect {name!r}; known: {', '.join(DEFECTS)}")
    return name
