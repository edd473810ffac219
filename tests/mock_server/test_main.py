from mock_server.__main__ import main


def test_a_wrong_setting_is_one_sentence_and_exit_code_2(capsys):
    assert main(["--settings", '{"hartbeat": 1}']) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mock_server: the mock server has no setting 'hartbeat'; known: heartbeat, ")
    assert err.count("\n") == 1
