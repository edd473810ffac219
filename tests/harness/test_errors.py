from harness.errors import HarnessError


def test_a_fault_of_the_user_says_its_sentence_and_nothing_else():
    assert str(HarnessError("port 80 is taken; give another one")) == "port 80 is taken; give another one"


def test_it_is_a_root_of_its_own():
    assert HarnessError.__bases__ == (Exception,)
