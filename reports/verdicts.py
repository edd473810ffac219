"""verdicts.json: every verdict with its evidence, for programs."""

import json
from pathlib import Path

from harness.results import Results, to_json


def write(results: Results, out: Path) -> Path:
    """Write verdicts.json into the folder; ASCII only, so whatever a peer sent cannot break a reader."""
    path = out / "verdicts.json"
    path.write_text(json.dumps(to_json(results), indent=1, allow_nan=False) + "\n", encoding="ascii")
    return path
