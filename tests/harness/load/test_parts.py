from harness import history
from harness.load.parts import Inbox, packed
from harness.load.recorder import Outbox

HEADER = {"role": "load-3", "host": "h", "boot": "b", "pid": 1, "mono": 1.0, "wall": 2.0}


def test_parts_arrive_as_a_file_of_the_history(tmp_path):
    outbox, inbox = Outbox(lambda: 1.0, HEADER), Inbox(tmp_path, "r")
    for number in range(3):
        outbox.write("lag", worst=float(number))
        inbox.take(3, packed("r", outbox))
    assert inbox.close() == []
    assert [one.kind for one in history.read(tmp_path / "load-3.jsonl")] == ["history", "lag", "lag", "lag"]


def test_parts_of_another_run_and_late_ones_are_dropped(tmp_path):
    outbox, inbox = Outbox(lambda: 1.0, HEADER), Inbox(tmp_path, "r")
    inbox.take(0, packed("older", outbox))
    inbox.close()
    inbox.take(0, packed("r", Outbox(lambda: 1.0, HEADER)))
    assert list(tmp_path.iterdir()) == []


def test_what_a_worker_dropped_and_a_worker_without_end_are_trouble(tmp_path):
    inbox = Inbox(tmp_path, "r", limit=100)
    inbox.take(0, {"run": "r", "text": "x\n", "dropped": 4})
    inbox.take(1, {"run": "r", "text": "y" * 101, "dropped": 0})
    assert [one.partition(";")[0] for one in inbox.close()] == [
        "worker 0 had to drop 4 records", "worker 1 sent more than 100 bytes of history",
    ]  # fmt: skip
    assert not (tmp_path / "load-1.jsonl").exists()
