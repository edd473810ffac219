"""Records on disk: what a crash, another host and a hostile value may do to them."""

import json

import pytest

from harness import history
from harness.errors import HarnessError
from harness.history import History, Record, Writer
from harness.kinds import SCHEMA


def head(role="run", **own):
    plain = {"role": role, "host": "h", "boot": "b", "pid": 1, "mono": 100.0, "wall": 1000.0}
    return {**plain, **own}


class Clock:
    def __init__(self, t=100.0):
        self.t = t

    def __call__(self):
        self.t += 1.0
        return self.t


def test_what_is_written_is_read(tmp_path):
    writer = Writer(tmp_path / "deep" / "run.jsonl", Clock(), head(seed=7))
    writer.write("sub.open", sub="a", attempt=0)
    writer.write("trouble", t=5.0, reason="x")
    writer.close()
    first, second, third = history.read(tmp_path / "deep" / "run.jsonl")
    assert (first.kind, first["schema"], first["seed"]) == ("history", SCHEMA, 7)
    assert (second.t, second.kind, second["sub"], second.get("nothing")) == (102.0, "sub.open", "a", None)
    assert (third.t, third["reason"]) == (5.0, "x")


def test_a_closed_writer_drops_what_comes_later(tmp_path):
    writer = Writer(tmp_path / "run.jsonl", Clock(), head())
    writer.close()
    writer.write("trouble", reason="late")
    assert len(history.read(tmp_path / "run.jsonl")) == 1


def test_a_record_without_its_fields_is_refused_at_once(tmp_path):
    writer = Writer(tmp_path / "run.jsonl", Clock(), head())
    with pytest.raises(ValueError, match=r"record sub\.wait lacks delay, reason"):
        writer.write("sub.wait", sub="a", attempt=0)
    writer.close()


def test_a_torn_last_line_is_dropped_and_any_other_is_an_error(tmp_path):
    path = tmp_path / "run.jsonl"
    writer = Writer(path, Clock(), head())
    writer.write("trouble", reason="whole")
    writer.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"t":3,"kind":"trou')
    assert len(history.read(path)) == 2
    path.write_bytes(whole + b'{"t":3,"ki\n' + whole.splitlines()[1] + b"\n")
    with pytest.raises(HarnessError, match=r"line 3 is no record; give a history\.jsonl"):
        history.read(path)


@pytest.mark.parametrize("text", [b"", b"[1,2]", b'{"t":1,"kind":"trouble","reason":"x"}\n'])
def test_a_file_without_a_header_is_no_history(tmp_path, text):
    path = tmp_path / "x.jsonl"
    path.write_bytes(text)
    with pytest.raises(HarnessError, match="has no header; give a history"):
        history.read(path)


def test_another_schema_version_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"t": 1, "kind": "history", "schema": 99, **head()}) + "\n")
    with pytest.raises(HarnessError, match="has schema version 99 and this sse-harness knows 1; judge it with"):
        history.read(path)


@pytest.mark.parametrize("version", [True, 1.0, "1", None])
def test_a_schema_version_is_a_number_and_no_look_alike(tmp_path, version):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"t": 1, "kind": "history", "schema": version, **head()}) + "\n")
    with pytest.raises(HarnessError, match="has schema version"):
        history.read(path)


HOSTILE = {
    "deep": "[" * 100_000, "deep in a record": '{"t":2,"kind":"lag","worst":' + "[" * 100_000 + "]" * 100_000 + "}",
    "many digits": '{"t":' + "9" * 5000 + ',"kind":"lag","worst":1}', "a list": "[1,2]", "NUL": "\0\0\0",
    "NaN": '{"t":NaN,"kind":"lag","worst":0.1}', "no kind": '{"t":1}', "a number": "7",
    "far away": '{"t":9e9,"kind":"lag","worst":0.1}', "a kind of its own": '{"t":1,"kind":"x"}',
    "no field": '{"t":1,"kind":"sub.open","attempt":0}',
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_that_cannot_be_judged_is_named_with_the_remedy(tmp_path, name):
    path = tmp_path / "x.jsonl"
    first = json.dumps({"t": 1, "kind": "history", "schema": SCHEMA, **head()})
    path.write_text(f"{first}\n{HOSTILE[name]}\n{first}\n")
    with pytest.raises(HarnessError, match=rf"^{path} line 2 .*; give a history\.jsonl of a run$"):
        history.read(path)


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(HarnessError, match=r"cannot be read \(.+\); give a history\.jsonl"):
        history.read(tmp_path)


def part(role, *records, **own):
    return [Record(own.get("mono", 100.0), "history", {"schema": SCHEMA, **head(role, **own)}), *records]


def test_parts_of_one_boot_share_the_monotonic_clock_and_the_run_leads():
    server = part("server", Record(3.0, "server.start", {"epoch": "e"}))
    run = part("run", Record(2.0, "sub.open", {}), Record(4.0, "sub.open", {}), scenario="s")
    merged = history.merge([server, run])
    assert [(one.t, one.role) for one in merged][1:] == [(2.0, "run"), (3.0, "server"), (4.0, "run"), (100.0, "server")]
    assert merged.header["scenario"] == "s"
    assert merged.clock_error == 0.0


def test_parts_of_another_boot_are_placed_by_wall_clock_with_an_error_bar():
    run = part("run")
    load = part("load", Record(8.0, "lag", {"worst": 0.1}), boot="other", mono=7.0, wall=1003.0, wall_error=0.25)
    merged = history.merge([run, load])
    assert merged.of("lag")[0].t == pytest.approx(104.0)
    assert merged.clock_error == pytest.approx(0.3)


def test_nothing_merges_to_nothing():
    empty = history.merge([])
    assert (list(empty), empty.start, empty.end, empty.of("lag")) == ([], 0.0, 0.0, [])


def test_a_merged_history_survives_saving(tmp_path):
    other = part("load", Record(8.0, "lag", {"worst": 0.1}), boot="other", mono=7.0, wall=1003.0)
    merged = history.merge([part("run", Record(101.0, "lag", {"worst": 0.0}), scenario="s"), other])
    history.save(merged, tmp_path / "history.jsonl")
    again = history.load(tmp_path / "history.jsonl")
    assert [(one.t, one.kind, one.role) for one in again] == [(one.t, one.kind, one.role) for one in merged]
    assert again.header["scenario"] == "s"
    assert again.clock_error == pytest.approx(0.1)


def test_a_history_is_saved_as_a_whole_or_not_at_all(tmp_path):
    broken = history.merge([part("run", Record(101.0, "lag", {"worst": object()}))])
    with pytest.raises(TypeError):
        history.save(broken, tmp_path / "history.jsonl")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("errors", [(5.0, 0.05), (0.05, 5.0), (1.0, 2.0)])
def test_saving_keeps_the_clock_error(tmp_path, errors):
    parts = [part("run", wall_error=errors[0]), part("load", boot="other", wall_error=errors[1]), part("server")]
    merged = history.merge(parts)
    history.save(merged, tmp_path / "history.jsonl")
    assert history.load(tmp_path / "history.jsonl").clock_error == merged.clock_error == sum(errors)


def test_what_is_loaded_stands_in_the_order_of_time(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = [{"t": 100.0, "kind": "history", "schema": SCHEMA, **head()}]
    rows += [{"t": t, "kind": "lag", "worst": 0.0} for t in (103.0, 101.0, 102.0)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [one.t for one in history.load(path)] == [100.0, 101.0, 102.0, 103.0]


def test_kinds_are_found_and_things_are_made_once():
    kept = History((Record(1.0, "lag", {"worst": 0}), Record(2.0, "trouble", {}), Record(3.0, "lag", {"worst": 1})))
    assert [one.t for one in kept.of("lag")] == [1.0, 3.0]
    assert [one.t for one in kept.of("lag", "trouble")] == [1.0, 2.0, 3.0]
    made = []
    assert kept.memo("x", lambda history: made.append(history) or 5) == kept.memo("x", lambda history: 6) == 5
    assert (kept.start, kept.end) == (1.0, 3.0)
