from mock_server.__main__ import main


def test_a_wrong_setting_is_one_sentence_and_exit_code_2(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["mock_server", "--settings", '{"hartbeat": 1}'])
    assert main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mock_server: the mock server has no setting 'hartbeat'; known: heartbeat, ")
    assert err.count("\n") == 1
