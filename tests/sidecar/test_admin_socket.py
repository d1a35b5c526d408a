"""Where the admin service's socket lies: never on the network by itself, and out of everybody else's reach."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.admin.socket_place import NoSafePlace, admin_socket
from tests.sidecar.serving import start

_NOBODY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder with a path that leaves room."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def _long(folder: Path) -> Path:
    return folder / ("x" * 100) / ("y" * 100)


def test_short_data_folder_holds_the_socket(short: Path) -> None:
    assert admin_socket(short) == f"unix:{short}/admin.sock"


def test_long_data_folder_has_a_socket_in_a_private_folder_of_its_own(short: Path) -> None:
    one, other = admin_socket(_long(short) / "1"), admin_socket(_long(short) / "2")

    folder = short / "otlp-mongo"
    assert one.startswith(f"unix:{folder}/")
    assert one != other
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("trap", ["symlink", "file", "open to others"])
def test_private_folder_that_is_not_ours_alone_is_refused(short: Path, trap: str) -> None:
    folder = short / "otlp-mongo"
    if trap == "symlink":
        (short / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(short / "elsewhere")
    elif trap == "file":
        folder.write_text("")
    else:
        folder.mkdir()
        folder.chmod(0o755)

    with pytest.raises(NoSafePlace, match="OTLP_MONGO_DATA_DIR"):
        admin_socket(_long(short))


def test_runtime_folder_that_others_may_rearrange_is_refused(short: Path) -> None:
    short.chmod(0o777)

    with pytest.raises(NoSafePlace, match="others may replace"):
        admin_socket(_long(short))


@pytest.mark.integration
def test_serve_with_a_long_data_path_is_administrated_by_a_private_socket(tmp_path: Path, short: Path) -> None:
    data = _long(tmp_path)
    with start(
        tmp_path, MONGODB_URI=_NOBODY, OTLP_MONGO_DATA_DIR=str(data), http_proxy="http://127.0.0.1:9"
    ) as serving:
        serving.wait_until(lambda: (data / "sidecar.json").exists())
        status = serving.command("buffer", "status")
        sockets = list((short / "otlp-mongo").iterdir())

        assert status.returncode == 0, status.stderr
        assert "local" in status.stdout
        assert [stat.S_IMODE(os.lstat(path).st_mode) for path in sockets] == [0o600]
        assert serving.stop() == 0
