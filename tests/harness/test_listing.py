import pytest

from harness import cli, listing
from harness.config import load_config


@pytest.fixture
def config(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "of_mine.py").write_text('"""Is it mine?"""\nraise SystemExit("imported")\n')
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a_client.py").write_text(
        '"""A client."""\n\nCAPABILITIES: frozenset[str] = frozenset()\n\nasync def subscribe(session): ...\n'
    )
    (tmp_path / "theirs" / "renamed.py").write_text(
        '"""Ours, renamed."""\n\nfrom harness.clients.reference import CAPABILITIES, subscribe\n'
    )
    (tmp_path / "theirs" / "no_client.py").write_text('"""Not one."""\n\nasync def subscribe(session): ...\n')
    (tmp_path / "pyproject.toml").write_text('[tool.sse-harness]\nscenarios = ["mine"]\nclients = ["theirs"]\n')
    return load_config({}, environ={}, folder=tmp_path)


@pytest.mark.parametrize("what", listing.LISTS)
def test_everything_has_a_name_and_a_sentence(config, what):
    rows = listing.rows(what, config)
    assert len(rows) > 2
    assert len({name for name, _ in rows}) == len(rows)
    assert all(name and sentence for name, sentence in rows)


def test_the_command_knows_every_list():
    assert tuple(listing.LISTS) == cli.KINDS


def test_scenarios_and_clients_of_the_user_are_read_and_never_imported(config):
    assert dict(listing.rows("scenarios", config))["of_mine"] == "Is it mine?"
    clients = dict(listing.rows("clients", config))
    assert clients["a_client"] == "A client."
    assert clients["renamed"] == "Ours, renamed."
    assert {"reference", "reference_spec", "httpx_sse"} <= clients.keys()
    assert not {"no_client", "faulty", "polling", "sharing", "telling"} & clients.keys()


def test_requirements_keep_the_order_of_the_catalogue(config):
    ids = [name for name, _ in listing.rows("requirements", config)]
    assert ids.index("VAL-1") < ids.index("QA-1") < ids.index("SSE-1") < ids.index("SSE-10")


def test_faults_of_the_stream_and_of_the_network(config):
    faults = dict(listing.rows("faults", config))
    assert faults["duplicate"] == "Every n-th event comes twice."
    assert faults["limit_data"] == "a toxic of the network (Toxiproxy's), with bytes"


def test_defects_of_the_mock_and_of_clients(config):
    defects = dict(listing.rows("defects", config))
    assert defects["no-heartbeat"] == "no heartbeats"
    assert "--client harness.clients.faulty:forgets_id" in defects["forgets-id"]
