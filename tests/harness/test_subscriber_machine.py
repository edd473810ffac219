"""Hypothesis drives the subscriber through virtual time against a model that knows only what must be so."""

import math
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.subscriber import (
    TRANSITIONS,
    Changed,
    Closed,
    Connect,
    Disconnect,
    Dispatch,
    Ended,
    Error,
    Failed,
    IdCommitted,
    Opened,
    Options,
    RefreshToken,
    State,
    Subscriber,
    Told,
    Waiting,
)

pytestmark = pytest.mark.slow

OVER = (State.CLOSED, State.FAILED)
SECONDS = st.sampled_from([0.0, 0.1, 0.7, 3.0, 11.3]) | st.floats(0.0, 20.0)
BLOCKS = st.sampled_from(
    ["id: {}\ndata: x\n\n", "id: {}\n\n", "data: x\n\n", ": c\n", "retry: {}00\n", "id: {}\ndata: torn\n", "id\n\n"]
)
RETRIED = (429, 500, 503)


class Model:
    """What must be so, from the outputs alone: written without a look at how the subscriber does it."""

    def __init__(self):
        self.state, self.attempts, self.transport, self.floor = State.CONNECTING, 0, False, -math.inf

    def follow(self, now, output):
        assert self.state not in OVER or isinstance(output, Closed | Failed), "nothing after the end"
        match output:
            case Connect(attempt, _):
                assert (attempt, self.transport, self.state) == (self.attempts, False, State.CONNECTING)
                assert now >= self.floor, "earlier than the reconnection time"
                self.attempts, self.transport = self.attempts + 1, True
            case Disconnect(_):
                assert self.transport
            case Ended():
                assert self.transport
                self.transport = False
            case Changed(state, _):
                assert state in TRANSITIONS[self.state]
                self.state = state
            case Opened(attempt):
                assert (attempt, self.state) == (self.attempts - 1, State.OPEN)
            case Dispatch() | IdCommitted() | Told():
                assert self.state is State.OPEN
            case Error(_):
                assert self.state in (State.WAITING, State.OFFLINE)
            case Waiting(delay, _):
                assert self.state is State.WAITING
                assert 0 <= delay < math.inf


class SubscriberMachine(RuleBasedStateMachine):
    @initialize(
        policy=st.sampled_from(["spec", "resilient"]),
        heartbeat=st.sampled_from([None, 5.0]),
        timeout=st.sampled_from([None, 4.0]),
        base=st.sampled_from([0.0, 1.0]),
        start=st.sampled_from([0.0, 0.1, 12345.678, 1e9 + 0.3]),
        seed=st.integers(0, 9),
        started=st.sampled_from([True, True, True, False]),
    )
    def begin(self, policy, heartbeat, timeout, base, start, seed, started):
        options = Options(
            policy=policy, heartbeat_deadline=heartbeat, connect_timeout=timeout, backoff_base=base, backoff_cap=8.0
        )
        self.policy, self.now, self.model = policy, start, Model()
        self.one = Subscriber(options, rng=random.Random(seed))
        self.serial, self.last_id, self.torn_id, self.retry = 0, "", None, 3.0
        self.refused = None  # the status of the last answer
        if started:
            self.start()

    def take(self, outputs):
        """Follow what came out; each loss of a transport has its one error or failure, each error its loss."""
        was, had = self.model.state, self.model.transport
        for output in outputs:
            self.model.follow(self.now, output)
        kinds = [type(output) for output in outputs]
        lost = Ended in kinds and not {Closed, Failed, RefreshToken} & set(kinds)
        fetching = was is State.CONNECTING and not had and self.model.state is State.WAITING
        assert kinds.count(Error) == (1 if lost or fetching else 0)
        if lost or fetching or (self.model.state is State.OFFLINE and had):
            self.model.floor = self.now + self.retry
        if RefreshToken in kinds:
            self.model.floor = -math.inf
        for output in outputs:
            if isinstance(output, Connect):
                assert output.headers.get("Last-Event-ID", b"").decode() == self.last_id
        return kinds

    @rule()
    @precondition(lambda self: self.model.attempts == 0)
    def start(self):
        fresh = self.one.state is State.CONNECTING and self.model.attempts == 0
        assert self.take(self.one.start(self.now)) == ([Connect] if fresh else [])

    @rule(seconds=SECONDS)
    def time_passes(self, seconds):
        """The driver calls `tick` when the deadline has come, on the dot or late."""
        self.now += seconds
        due = self.one.deadline() is not None and self.one.deadline() <= self.now
        assert bool(self.take(self.one.tick(self.now))) == due

    @rule()
    @precondition(lambda self: self.one.deadline() is not None)
    def the_deadline_comes(self):
        self.now = max(self.now, math.nextafter(self.one.deadline(), -math.inf))
        if self.now < self.one.deadline():
            assert self.take(self.one.tick(self.now)) == []
        self.now = max(self.now, self.one.deadline())
        assert self.take(self.one.tick(self.now))

    @precondition(lambda self: self.model.state is State.CONNECTING)
    @rule(
        status=st.sampled_from([200, 200, 200, 200, 103, 204, 301, 401, 401, 404, 429, 503]),
        kind=st.sampled_from(["text/event-stream"] * 5 + ["text/html"]),
        retry_after=st.sampled_from([None, "7", "junk"]),
    )
    def response(self, status, kind, retry_after):
        expected = self.one.state == State.CONNECTING and self.model.transport and status != 103
        headers = {"content-type": kind} | ({"retry-after": retry_after} if retry_after else {})
        kinds = self.take(self.one.connected(self.now, status, headers))
        if not expected:
            assert kinds == []
            return
        again, self.refused = status == 401 == self.refused, status
        resilient = self.policy == "resilient"
        if status == 200 and kind == "text/event-stream":
            assert kinds == [Changed, Opened]
            self.torn_id = None
        elif resilient and status == 401 and not again:
            assert kinds == [Disconnect, Ended, RefreshToken]
        elif resilient and status in RETRIED:
            assert kinds == [Disconnect, Ended, Changed, Error, Waiting]
            self.model.floor = self.now + max(self.retry, 7.0 if retry_after == "7" else 0.0)
        else:
            assert kinds == [Disconnect, Ended, Changed, Failed]

    @rule()
    @precondition(lambda self: self.one.state is State.CONNECTING and self.model.transport)
    def stream_opens(self):
        self.response(200, "text/event-stream", None)

    @rule()
    @precondition(lambda self: self.one.state is State.CONNECTING and self.model.transport)
    def token_is_refused(self):
        self.response(401, "text/plain", None)

    @rule(blocks=st.lists(BLOCKS, min_size=1, max_size=4), cut=st.integers(1, 30))
    @precondition(lambda self: self.model.state is State.OPEN)
    def bytes_come(self, blocks, cut):
        wire = ""
        for block in blocks:
            self.serial += 1
            wire += block.format(self.serial)
            self.read(block)
        for part in (wire[:cut], wire[cut:]):
            self.take(self.one.received(self.now, part.encode()))

    @rule()
    @precondition(lambda self: self.model.state in (State.WAITING, State.OFFLINE, *OVER))
    def inputs_out_of_place(self):
        """What a dropped transport still had, and calls that the state has no use for."""
        one, now = self.one, self.now
        assert one.received(now, b"id: late\ndata: late\n\n") == one.ended(now, "late") == []
        assert one.connected(now, 200, {"content-type": "text/event-stream"}) == one.token_refreshed(now) == []
        assert self.model.attempts == 0 or one.start(now) == []

    def read(self, block):
        """What this block does to the last event ID and the reconnection time; a torn id is only pending."""
        if block.startswith("retry"):
            self.retry = self.serial * 100 / 1000
        if block.startswith("id"):  # the last id of a block wins, also one from a block that was never finished
            self.torn_id = "" if block == "id\n\n" else str(self.serial)
        if block.endswith("\n\n") and self.torn_id is not None:
            self.last_id, self.torn_id = self.torn_id, None

    @precondition(lambda self: self.model.state in (State.CONNECTING, State.OPEN))
    @rule(reason=st.sampled_from(["EOF", "reset", "refused"]))
    def network_ends_it(self, reason):
        fetching = self.one.state is State.CONNECTING and self.model.attempts > 0
        expected = self.model.transport or fetching
        assert bool(self.take(self.one.ended(self.now, reason))) == expected
        assert not expected or self.model.state is State.WAITING

    @rule()
    @precondition(lambda self: self.model.state is State.CONNECTING)
    def token_comes(self):
        fetching = self.one.state is State.CONNECTING and self.model.attempts > 0 and not self.model.transport
        assert self.take(self.one.token_refreshed(self.now)) == ([Connect] if fetching else [])

    @rule()
    @precondition(lambda self: self.model.state not in OVER)
    def network_goes(self):
        if self.one.state is State.CONNECTING and not self.model.transport:
            self.refused = None
        self.take(self.one.offline(self.now))
        assert self.model.state in (State.OFFLINE, *OVER)

    @rule()
    @precondition(lambda self: self.model.state is State.OFFLINE)
    def network_comes(self):
        was = self.model.state
        assert bool(self.take(self.one.online(self.now))) == (was is State.OFFLINE)

    @precondition(lambda self: self.model.attempts > 5)
    @rule()
    def close(self):
        was, had = self.model.state, self.model.transport
        ended = [Disconnect, Ended] if had else []
        assert self.take(self.one.close(self.now)) == ([] if was in OVER else [*ended, Changed, Closed])
        assert self.take(self.one.close(self.now)) == []

    @invariant()
    def both_agree(self):
        one, model = self.one, self.model
        assert (one.state, one.attempts) == (model.state, model.attempts)
        assert (one.last_event_id, one.reconnection_time) == (self.last_id, self.retry)

    @invariant()
    def the_deadline_is_ahead_and_never_missing_while_waiting(self):
        deadline = self.one.deadline()
        assert deadline is None or deadline >= self.now
        assert (deadline is not None) or self.model.state is not State.WAITING
        assert (deadline is None) or self.model.state not in (State.OFFLINE, *OVER)

    @invariant()
    def a_transport_is_held_only_where_it_is_of_use(self):
        assert not self.model.transport or self.model.state in (State.CONNECTING, State.OPEN)
        assert self.model.transport or self.model.state is not State.OPEN


TestSubscriber = SubscriberMachine.TestCase
TestSubscriber.settings = settings(max_examples=120, stateful_step_count=40)
