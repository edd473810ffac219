"""Is there no stream without a valid token?

Expected: without a token, with a forged, a truncated and a tampered one (a good one with one character changed) the
answer is 401 (or 403) and not a byte of stream, whether or not the request has a last event ID.
"""

from harness.scenario import Probe, Scenario

RESUMES = {"Last-Event-ID": "1"}

scenario = Scenario(
    checks=("security.token_required",),
    steps=(
        Probe("a good token"),
        Probe("no token", token="none"),
        Probe("a forged token", token="forged"),
        Probe("a truncated token", token="truncated"),
        Probe("a tampered token", token="tampered"),
        Probe("no token on a resume", token="none", headers=RESUMES),
        Probe("a forged token on a resume", token="forged", headers=RESUMES),
        Probe("a truncated token on a resume", token="truncated", headers=RESUMES),
        Probe("a tampered token on a resume", token="tampered", headers=RESUMES),
    ),
    needs=frozenset({"auth"}),
)
