import pytest

pytestmark = pytest.mark.slow


def test_the_publisher_is_driven_and_ended(patched):
    patched("""
    from pathlib import Path
    import gevent
    from harness.errors import HarnessError
    from harness.load.publisher import Publisher

    Path("parts").mkdir()
    one = Publisher.start(parts=Path("parts"), target=None, settings={}, count=3)
    assert [admitted["user"] for admitted in one.passes] == ["u0", "u1", "u2"]
    one.begin(200.0, ["u0", "u1"])
    ticks = 0
    while one.process.poll() is None and ticks < 5:
        gevent.sleep(0.05); ticks += 1
    assert set(one.sentinels(["u0"])) == {"user:u0", "all"}
    fresh = gevent.spawn(one.admit, "u9"), gevent.spawn(one.admit, "u8")
    gevent.joinall(fresh)
    assert [greenlet.value["user"] for greenlet in fresh] == ["u9", "u8"]
    assert one.pause() > 0
    one.stop()
    assert one.process.returncode == 0
    try:
        one.pause()
    except (HarnessError, ValueError):
        pass
    else:
        raise AssertionError("a publisher that has ended answered")
    """)


def test_what_keeps_it_from_starting_is_one_sentence(patched):
    told = patched("""
    from pathlib import Path
    from harness.errors import HarnessError
    from harness.load.publisher import Publisher
    try:
        Publisher.start(parts=Path("."), target="nope.toml", settings={}, count=1)
    except HarnessError as exc:
        print(exc)
    """)
    assert told.startswith("nope.toml cannot be read")
