import json

import pytest

from harness.errors import HarnessError
from mock_server.settings import Settings, load_settings, promises


def test_settings_come_from_mappings_json_and_files_a_later_one_over_an_earlier(tmp_path):
    path = tmp_path / "mock.json"
    path.write_text('{"retry_ms": 7, "heartbeat": 1}')
    found = load_settings({"heartbeat": 5, "throttle": 2}, str(path), '{"heartbeat": 2, "defects": ["cacheable"]}')
    assert found == Settings(heartbeat=2, throttle=2, retry_ms=7, defects=("cacheable",))


def test_settings_survive_json():
    settings = Settings(defects=("cacheable",), cors_origins=("http://a",), max_lifetime=3.0)
    settings = load_settings(settings.as_dict(), {"faults": [{"name": "rst", "sub": "a"}]})
    assert load_settings(json.loads(json.dumps(settings.as_dict()))) == settings


@pytest.mark.parametrize("origin", ["*", "https://page.example", "http://page.test:8443", "http://[fe80::1]:80"])
def test_an_origin_is_taken_as_a_browser_sends_it(origin):
    assert load_settings({"cors_origins": [origin]}).cors_origins == (origin,)


def test_what_the_server_promises_follows_its_settings():
    made = promises(Settings(heartbeat=2.0, limit_per_user=7, replay_events=9))
    assert (made.heartbeat, made.limit_per_user, made.replay_events) == (2.0, 7, 9)
    assert {"metric", "notification", "job", "message", "sentinel", "reset", "dropped"} == set(made.schemas)


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"hartbeat": 1}, "the mock server has no setting 'hartbeat'; known: heartbeat, "),
        ({"heartbeat": 0}, "setting heartbeat of the mock server must be a number of seconds, more than 0, not 0"),
        ({"heartbeat": True}, "setting heartbeat of the mock server must be a number of seconds"),
        ({"retry_ms": 1.5}, "setting retry_ms of the mock server must be a whole number, 0 or more, not 1.5"),
        ({"throttle": -1}, "setting throttle of the mock server must be a number, more than 0, or null"),
        ({"enabled": 1}, "setting enabled of the mock server must be true or false"),
        ({"defects": "cacheable"}, "setting defects of the mock server must be a list of strings"),
        ({"defects": ["no-hearbeat"]}, "there is no defect 'no-hearbeat' of the mock; did you mean 'no-heartbeat'?"),
        ({"defects": ["x"]}, "there is no defect 'x' of the mock; see `sse-harness list defects`"),
        (
            {"defects": ["no-jitter"]},
            "no-jitter is a bad client, no defect of the mock; give it as --client harness.clients.faulty:no_jitter",
        ),
        *(
            ({"cors_origins": [one]}, f"{one!r} is no origin of a page; write it like https://page.example")
            for one in (
                "",
                "nonsense",
                "https://page.example/",
                "https://a b",
                "https://u@page.example",
                "http://A.test",
            )
        ),
        ({"faults": ["rst"]}, "setting faults of the mock server must be a list of objects, not ['rst']"),
        ({"faults": [{"name": "fog"}]}, "there is no fault 'fog'; did you mean 'foreign'?"),
        ({"faults": [{"name": "rst", "when": 1}]}, "a fault of the settings does not know when; known: name, "),
        ({"faults": [{"name": "rst", "parameters": 1}]}, "`parameters` of a fault of the settings is an object"),
        ({"loop": "trio"}, "setting loop of the mock server must be auto, uvloop or asyncio"),
        ("{", "settings in the given JSON are no JSON"),
        ("/no/such/file", "settings /no/such/file cannot be read (No such file or directory); give JSON or a path"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(given, sentence):
    with pytest.raises(HarnessError) as caught:
        load_settings(given)
    assert str(caught.value).startswith(sentence)
