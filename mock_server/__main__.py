"""`python -m mock_server`: the mock server alone. Says its ports in one line of JSON on standard output.

Secrets come from the environment (SSE_MOCK_CONTROL_TOKEN, SSE_MOCK_SECRET) and are made up where they are missing;
a made-up control token stands in a file that only its owner can read, and the line says where.
"""

import argparse
import sys
from pathlib import Path

from harness.children import Start, executed
from harness.errors import HarnessError
from mock_server.settings import load_settings
from mock_server.supervisor import Options, run


def main(start: Start = executed) -> int:
    parser = argparse.ArgumentParser(prog="python -m mock_server", description="The mock SSE server.")
    parser.add_argument("--host", default="127.0.0.1", help="address of the data plane")
    parser.add_argument("--port", type=int, default=0, help="its port; 0: any free one")
    parser.add_argument("--control-port", type=int, default=0, help="port of the control plane, always on loopback")
    parser.add_argument("--history", type=Path, help="FILE; every incarnation writes one, FILE with -0, -1 ...")
    parser.add_argument("--settings", action="append", default=[], help="JSON, or a path of a JSON file; repeatable")
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input closes")
    given = parser.parse_args()
    try:
        options = Options(
            settings=load_settings(*given.settings),
            host=given.host,
            port=given.port,
            control_port=given.control_port,
            history=given.history,
            stop_with_stdin=given.stop_with_stdin,
        )
        return run(options, start)
    except HarnessError as exc:
        print(f"mock_server: {exc}", file=sys.stderr)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main())
