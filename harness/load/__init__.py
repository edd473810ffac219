"""Load: Locust users that are the harness's own subscriber, and a run of theirs that ends in a judged history.

    locust -f scenarios/load/steady.py --headless -u 200 -r 50 -t 60s      # SSE_TARGET=FILE: a server of yours

The locustfile calls `wiring.wire(...)`; everything else follows from Locust's own events.  Per process of users there
is a `station.Station` (subscribers, their records, their latencies); in the master or standalone process there is a
`run.LoadRun` (history, server, publisher, drain, verdicts); the server under test is held by a third process
(`publishing`), so that a busy load loop delays neither publications nor their stamps.

The seam for another engine is `transport.Engine`: it runs one subscriber, and tells the `Session` what it saw.

`launch.launch(...)` starts a load scenario as a child process and returns its merged history; that module alone, and
this one, can be imported without Locust patching the process.  Nothing is imported here for that reason.

Exit codes of a locust run: 0 pass, 1 fail, 2 wrong usage, 3 unknown.
"""
