import json

import pytest

from harness import history
from harness.errors import HarnessError
from harness.meters import open_history
from mock_server.mock import KEPT_RECORDS, Mock
from mock_server.settings import load_settings


def a_mock(**more):
    return Mock(load_settings({"defects": ["cacheable"]}), secret="s", epoch="e", **more)


def test_records_go_to_the_file_and_the_latest_are_kept(tmp_path):
    writer = open_history(tmp_path / "server-0.jsonl", "server")
    mock = a_mock(writer=writer)
    frame = mock.publish("ann", "sentinel")
    writer.close()
    (record,) = [one for one in history.read(tmp_path / "server-0.jsonl") if one.kind == "published"]
    assert (record["id"], record["digest"]) == (frame.id, frame.payload["digest"])
    assert mock.records[-1]["id"] == frame.id
    assert mock.records.maxlen == KEPT_RECORDS


def test_connection_ids_are_unique_over_incarnations():
    names = [mock.next_conn() for mock in (a_mock(), a_mock(incarnation=1)) for _ in range(2)]
    assert len(set(names)) == 4


def test_healing_leaves_the_defects_of_the_start():
    mock = a_mock()
    mock.set_defect("cacheable", False)
    mock.set_defect("bare-lf", True)
    mock.add_fault("fin", {}, attempts=1, sub=None, live=None)
    mock.heal()
    assert mock.defects == {"cacheable"}
    assert mock.plans.faults == []


@pytest.mark.parametrize("how", ["graceful", "crash"])
def test_what_a_restart_hands_over(how):
    before, after = a_mock(), Mock(load_settings({}), secret="s", epoch="f")
    before.publish("ann")
    before.set_flag(percent=10.0)
    before.set_defect("bare-lf", True)
    after.restore(json.loads(json.dumps(before.save(how))))
    assert (after.flag.as_dict(), after.defects) == (before.flag.as_dict(), before.defects)
    assert (after.hub.epoch, after.hub.number) == (("e", 1) if how == "graceful" else ("f", 0))


def test_an_unknown_drop_is_refused():
    with pytest.raises(HarnessError, match=r"^streams are dropped by fin, rst, silence or mid-event, not 'x'"):
        a_mock().drop("x")
