"""Is there no stream without a valid token?

Expected: without a token, with a forged and with a truncated one the answer is 401 (or 403) and not a byte of stream.
"""

from harness.scenario import Probe, Scenario

scenario = Scenario(
    checks=("security.token_required",),
    steps=(
        Probe("a good token"),
        Probe("no token", token="none"),
        Probe("a forged token", token="forged"),
        Probe("a truncated token", token="truncated"),
    ),
    needs=frozenset({"auth"}),
)
