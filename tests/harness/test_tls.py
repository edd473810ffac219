import ssl

import pytest

from harness import tls
from harness.errors import HarnessError


def test_the_system_is_trusted_and_the_context_is_shared():
    assert tls.context() is tls.context()
    assert tls.context().verify_mode is ssl.CERT_REQUIRED


def test_a_file_without_certificates_is_one_sentence(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(HarnessError, match=r"^ca_file .*ca\.pem holds no certificates that .*; give PEM$"):
        tls.context(tmp_path / "ca.pem")
