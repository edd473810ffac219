"""Whom this process trusts: the TLS context that all its clients share, one per file of certificates."""

import functools
import ssl
from pathlib import Path

from harness.errors import HarnessError


@functools.cache
def context(ca_file: Path | None = None) -> ssl.SSLContext:
    """The context that trusts the certificates of this PEM file, or (None) those that the system trusts.

    Raises HarnessError if the file holds none.
    """
    # It costs 18 ms of CPU, so it is kept.
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as exc:
        raise HarnessError(f"ca_file {ca_file} holds no certificates that can be loaded ({exc}); give PEM") from exc
