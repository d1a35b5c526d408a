"""Holds the packages to the import rules of docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import exporter

ROOT = Path(__file__).parent.parent
PACKAGES = {"exporter", "protos", "receiver", "sidecar"}
FORBIDDEN = {
    "exporter": {"receiver", "sidecar"},
    "protos": {"exporter", "receiver", "sidecar"},
    "receiver": {"protos", "sidecar"},
    "sidecar": set[str](),
}


def imports(path: Path) -> Iterator[tuple[str, str | None]]:
    """Modules that a file imports, anywhere in it, with the name taken from each (None: the module itself)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                yield node.module or "", alias.name


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_package_imports_only_what_it_may(package: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in modules(package)
        for module, _ in imports(path)
        if module.partition(".")[0] in FORBIDDEN[package]
    ]

    assert modules(package)
    assert not found


def test_receiver_imports_only_public_interface_of_exporter() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {module} {name}"
        for path in modules("receiver")
        for module, name in imports(path)
        if module.partition(".")[0] == "exporter" and (module != "exporter" or name not in exporter.__all__)
    ]

    assert not found


def test_nothing_but_sidecar_builds_settings() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {module}"
        for package in PACKAGES - {"sidecar"}
        for path in modules(package)
        for module, _ in imports(path)
        if module.partition(".")[0] in {"pydantic_settings", "typer"}
    ]

    assert not found
