from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.packaging.contents import COMPILED_FROM, compiled_modules, files_of_packages
from tests.packaging.installation import BuildFailed, Installation, build_wheel, message

# Seconds where nothing else runs, but a compiler is the first to suffer from what does.
pytestmark = [pytest.mark.packaging, pytest.mark.timeout(180)]


def _files(wheel: Path) -> set[str]:
    """Its files but the metadata; those of compiled modules without their suffixes."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")]
    return {name.partition(".")[0] if name.endswith(".so") else name for name in names}


def test_wheel_built_with_compiler_runs_native_code_without_its_sources(sdist: Path, tmp_path: Path) -> None:
    wheel, _ = build_wheel(sdist, tmp_path, OTLP_MONGO_BUILD_REQUIRE_NATIVE="1")
    installation = Installation(wheel, tmp_path / "venv")

    config = installation.config(tmp_path)
    with installation.serve(tmp_path) as program:
        transcoder = program.line(message("transcoder chosen"))["transcoder"]
        converter = program.line(message("JSON converter chosen"))["converter"]
        program.line(message("ready"))
        exit_code = program.stop()

    assert _files(wheel) == files_of_packages(without=COMPILED_FROM) | compiled_modules()
    assert config.endswith("transcoder in use: native\nJSON converter in use: native\n")
    assert (transcoder, converter, exit_code) == ("native", "native", 0)


def test_wheel_built_without_compiler_warns_and_runs_reference(checkout: Path, tmp_path: Path) -> None:
    wheel, said = build_wheel(checkout, tmp_path, CC="/nonexistent")
    installation = Installation(wheel, tmp_path / "venv")

    config = installation.config(tmp_path)
    with installation.serve(tmp_path) as program:
        warnings = [
            program.line(message("the native transcoder was not built: the reference does the work")),
            program.line(message("the native JSON converter was not built")),
        ]
        transcoder = program.line(message("transcoder chosen"))["transcoder"]
        program.line(message("ready"))
        exit_code = program.stop()

    assert compiled_modules()
    assert all(f"{module.replace('/', '.')} IS NOT BUILT" in said for module in compiled_modules())
    assert _files(wheel) == files_of_packages(without=COMPILED_FROM)
    assert [line["level"] for line in warnings] == ["warning", "warning"]
    assert "transcoder in use: reference (native was not built)" in config
    assert (transcoder, exit_code) == ("reference", 0)


def test_build_without_compiler_that_requires_native_fails(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="/nonexistent"):
        build_wheel(checkout, tmp_path, CC="/nonexistent", OTLP_MONGO_BUILD_REQUIRE_NATIVE="1")
