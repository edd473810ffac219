"""The network edge: faults between subscribers and a target, through Toxiproxy's API.

    from harness.proxy.control import start_network

    network = await start_network(history=path)        # the real one where it is, else embedded
    proxy = await network.proxy("stream", "127.0.0.1:8080")
    await proxy.add(Toxic("latency", {"latency": 200}))  # subscribers connect to proxy.listen
    await proxy.heal()
    await network.stop()

control.py  steers a server, whichever it is; the only importer of toxiproxy-python
watch.py    runs the real server for as long as its parent lives
embedded.py, toxics.py, api.py  the embedded server: links, toxics, Toxiproxy's HTTP API; `python -m harness.proxy`

Where they differ the embedded one is truer (DIFFERENCES in the tests is the table): a RST is a RST also on a live link
and when the upstream resets, a half close is passed on, a timeout closes when it is over.
"""
