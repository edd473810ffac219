"""Is there no stream without a valid token?

Expected: without a token, with a forged and with a truncated one the answer is 401 (or 403) and not a byte of stream,
whether or not the request has a last event ID.
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
        Probe("no token on a resume", token="none", headers=RESUMES),
        Probe("a forged token on a resume", token="forged", headers=RESUMES),
        Probe("a truncated token on a resume", token="truncated", headers=RESUMES),
    ),
    needs=frozenset({"auth"}),
)
