"""Half of the users have streaming when the server restarts: do the same ones have it afterwards?

Expected: each user gets the same answer before and after a graceful restart and a crash.
"""

from harness.scenario import FAST_SERVER, ProbeAll, Restart, Rollout, Scenario, Wait

scenario = Scenario(
    users=2,
    streams=0,
    checks=("flag.sticky", "flag.binomial"),
    server={**FAST_SERVER, "kill_switch_within": 1.0},
    steps=(
        Rollout(50),
        ProbeAll("before", repeat=1),
        Restart("graceful", down=0.3),
        Wait(1),
        ProbeAll("after a graceful restart", repeat=1),
        Restart("crash", down=0.3),
        Wait(1),
        ProbeAll("after a crash", repeat=1),
    ),
    needs=frozenset({"rollout", "restart"}),
)
