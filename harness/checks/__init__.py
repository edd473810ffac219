"""The checks: one file per family.  A file in this folder registers itself; nothing else has to know it."""

from importlib import import_module
from pkgutil import iter_modules


def load() -> None:
    """Import every module of this folder, so that its checks stand in the registry."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


load()
