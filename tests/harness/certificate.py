"""A certificate for 127.0.0.1 that nobody trusts, made where openssl is installed."""

import shutil
import ssl
import subprocess

import pytest


def made(folder):
    """The path of the certificate and a context of a server that shows it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is missing; apt-get install openssl")
    key, path = folder / "key.pem", folder / "ca.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, key)
    return path, context
