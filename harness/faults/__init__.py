"""Faults as data and as functions: toxics of the network, and functions script -> script of a stream.

A file of this folder whose functions carry `@fault` is imported here; nothing else has to know them.
"""

from harness.faults import answers, contents, endings
from harness.faults.registry import FAULTS, LIVE, Fault, applied, fault, parse, rest_of
from harness.faults.toxic import Toxic

__all__ = [
    "FAULTS", "LIVE", "Fault", "Toxic", "answers", "applied", "contents", "endings", "fault", "parse", "rest_of",
]  # fmt: skip
