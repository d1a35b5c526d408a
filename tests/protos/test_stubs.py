from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from grpc_tools import protoc

ROOT = Path(__file__).parents[2]
WELL_KNOWN = str(files("grpc_tools") / "_proto")


@pytest.mark.parametrize("proto", [path.name for path in sorted((ROOT / "protos").glob("*.proto"))])
def test_stubs_generated_anew_are_those_in_the_repository(proto: str, tmp_path: Path) -> None:
    outputs = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]

    status = protoc.main(["protoc", f"-I{ROOT}", f"-I{WELL_KNOWN}", *outputs, f"protos/{proto}"])

    assert status == 0
    generated = sorted((tmp_path / "protos").iterdir())
    assert len(generated) == len(outputs)
    for stub in generated:
        assert (ROOT / "protos" / stub.name).read_text() == stub.read_text(), f"{stub.name} is old: make protos"
