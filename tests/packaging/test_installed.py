"""That the suite tests what is installed: the checkout when that is editable, else (under tox) the wheel."""

from __future__ import annotations

import json
import sysconfig
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.packaging.contents import PACKAGES

_ROOT = Path(__file__).parents[2]
_INSTALLED = Path(sysconfig.get_path("purelib"))


@pytest.mark.parametrize("package", PACKAGES)
def test_package_under_test_comes_of_what_is_installed(package: str) -> None:
    (installed,) = distributions(name="otlp-mongo", path=[str(_INSTALLED)])
    editable = json.loads(installed.read_text("direct_url.json") or "{}").get("dir_info", {}).get("editable", False)

    spec = find_spec(package)

    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parents[1] == (_ROOT if editable else _INSTALLED)
