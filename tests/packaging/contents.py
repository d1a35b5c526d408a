"""What belongs in a distribution, by what is in the checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGES = ("exporter", "protos", "receiver", "sidecar")
COMPILED_FROM = frozenset({".pyx", ".pxd", ".h", ".proto"})

_ROOT = Path(__file__).parents[2]
_BUILT = frozenset({".pyc", ".so"})


def compiled_modules() -> set[str]:
    """Modules that are compiled, as paths without a suffix."""
    return {name.removesuffix(".pyx") for name in files_of_packages() if name.endswith(".pyx")}


def files_of_packages(without: frozenset[str] = frozenset()) -> set[str]:
    """Paths of all that the packages are made of. `without`: suffixes to leave out."""
    return {
        path.relative_to(_ROOT).as_posix()
        for package in PACKAGES
        for path in (_ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in _BUILT | without
    }
