"""Reports: one file = one format, found by its name, imported when it is written.

A format is a module with `write(results, out) -> Path`; its docstring's first sentence says what it is.  Files whose
name starts with an underscore are no formats.
"""

from collections.abc import Iterable
from pathlib import Path

from harness import locate
from harness.errors import HarnessError
from harness.results import Results


def demand(folders: Iterable[Path] = ()) -> None:
    """Load every format, so that none turns out to be broken when the work is done. Raises HarnessError."""
    folders = tuple(folders)
    for name in locate.names("reports", folders):
        _writer(name, folders)


def write_all(
    results: Results, out: Path, *, only: Iterable[str] | None = None, folders: Iterable[Path] = ()
) -> list[Path]:
    """Write the results in every format (or those of `only`: names or paths) into the folder; the files written.

    `folders` hold the user's own formats. One that fails leaves the others written and then raises HarnessError.
    """
    folders = tuple(folders)
    wanted = sorted(locate.names("reports", folders)) if only is None else only
    out.mkdir(parents=True, exist_ok=True)
    written, faults = [], []
    for name in wanted:
        try:
            written.append(_writer(name, folders)(results, out))
        except HarnessError as exc:
            faults.append(str(exc))
        except OSError as exc:
            faults.append(f"report {name!r} cannot be written ({exc}); make room, or give another folder with --out")
        except (Exception, SystemExit) as exc:  # a format of the user's own must not cost the others
            faults.append(f"report {name!r} failed: {type(exc).__name__}: {exc}; mend it")
    if faults:
        raise HarnessError("; ".join(faults))
    return written


def _writer(name: str, folders: tuple[Path, ...]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    module = locate.load("reports", name, folders)
    if not hasattr(module, "write"):
        raise HarnessError(f"report {name!r} defines no `write(results, out)`; add it")
    return module.write
