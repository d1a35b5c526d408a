"""The embedded mongod, for real."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from sidecar.embedded import (
    EmbeddedMongod,
    EmbeddedMongodError,
    FolderInUse,
    FolderNotWritable,
    MissingLibrary,
    MongodNotFound,
    MongodRefused,
    MongodState,
    WrongPlatform,
    find_mongod,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def binary() -> Path:
    try:
        return find_mongod()
    except MongodNotFound as error:
        pytest.skip(str(error))


@pytest.fixture
async def mongod(tmp_path: Path, binary: Path) -> AsyncIterator[EmbeddedMongod]:
    mongod = EmbeddedMongod(tmp_path / "mongod", binary)
    await mongod.start()
    yield mongod
    await mongod.stop()


def _client(mongod: EmbeddedMongod) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(mongod.uri, serverSelectionTimeoutMS=20_000)


def _executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


async def test_start_in_empty_folder_takes_journaled_majority_writes(mongod: EmbeddedMongod) -> None:
    async with _client(mongod) as client:
        hello = await client.admin.command("hello")
        collection = client.shop.get_collection("orders")

        await collection.insert_one({"_id": 1})

        assert hello["setName"] == "otlp-mongo"
        assert hello["isWritablePrimary"]
        assert await collection.count_documents({}) == 1


async def test_start_writes_state_that_others_can_read(mongod: EmbeddedMongod, tmp_path: Path) -> None:
    state = await asyncio.to_thread(MongodState.read, tmp_path / "mongod")

    assert state is not None
    assert (state.uri, state.pid) == (mongod.uri, mongod.pid)


async def test_crash_while_running_restarts_on_same_port_with_data(mongod: EmbeddedMongod) -> None:
    async with _client(mongod) as client:
        await client.shop.orders.insert_one({"_id": 1})
        uri, pid = mongod.uri, mongod.pid
        assert pid

        os.kill(pid, signal.SIGKILL)
        await _until(lambda: mongod.restarts > 0)

        assert mongod.uri == uri
        assert mongod.pid not in (None, pid)
        assert await client.shop.orders.count_documents({}) == 1


async def test_start_beside_orphan_of_a_killed_sidecar_takes_its_data_over(tmp_path: Path, binary: Path) -> None:
    folder = tmp_path / "mongod"
    script = (
        "import asyncio, os, sys; from pathlib import Path; from sidecar.embedded import EmbeddedMongod, process\n"
        # What a kernel without PR_SET_PDEATHSIG does: nothing.
        "process._LAUNCHER = process._LAUNCHER.replace('prctl(1, int(signal.SIGTERM))', 'getpid()')\n"
        "async def main():\n"
        "    mongod = EmbeddedMongod(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "    await mongod.start()\n"
        "    print(mongod.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(folder), str(binary), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await killed.communicate()
    orphan = int(output)
    assert _runs(orphan)
    successor = EmbeddedMongod(folder, binary)

    await successor.start()

    try:
        assert not _runs(orphan)
        async with _client(successor) as client:
            await client.admin.command("ping")
    finally:
        await successor.stop()


async def test_sidecar_killed_takes_mongod_along(tmp_path: Path, binary: Path) -> None:
    script = (
        "import asyncio, os, sys; from pathlib import Path; from sidecar.embedded import EmbeddedMongod\n"
        "async def main():\n"
        "    mongod = EmbeddedMongod(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "    await mongod.start()\n"
        "    print(mongod.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path / "mongod"), str(binary), stdout=asyncio.subprocess.PIPE
    )

    output, _ = await killed.communicate()

    await _until(lambda: not _runs(int(output)))


async def test_stop_ends_process_and_gives_folder_back(tmp_path: Path, binary: Path) -> None:
    first = EmbeddedMongod(tmp_path / "mongod", binary)
    await first.start()
    pid = first.pid
    assert pid

    await first.stop()

    assert not _runs(pid)
    assert MongodState.read(tmp_path / "mongod") is None


async def test_start_in_folder_of_running_sidecar_says_so(mongod: EmbeddedMongod, tmp_path: Path, binary: Path) -> None:
    second = EmbeddedMongod(tmp_path / "mongod", binary)

    with pytest.raises(FolderInUse, match="in use by another sidecar"):
        await second.start()

    assert mongod.pid
    assert _runs(mongod.pid)


async def test_start_with_an_option_that_is_ours_too_takes_the_callers(tmp_path: Path, binary: Path) -> None:
    extra = ("--zstdDefaultCompressionLevel", "3", "--oplogSize=991", "--setParameter", "enableTestCommands=1")
    mongod = EmbeddedMongod(tmp_path / "mongod", binary, extra_arguments=extra)

    await mongod.start()
    async with _client(mongod) as client:
        parsed = (await client.admin.command("getCmdLineOpts"))["parsed"]
    await mongod.stop()

    assert parsed["storage"]["wiredTiger"]["engineConfig"]["zstdCompressionLevel"] == 3
    assert parsed["replication"]["oplogSizeMB"] == 991
    assert parsed["setParameter"]["diagnosticDataCollectionEnabled"] == "false"
    assert parsed["setParameter"]["enableTestCommands"] == "1"


async def test_start_with_damaged_data_quotes_mongod(tmp_path: Path, binary: Path) -> None:
    data = tmp_path / "mongod" / "db"
    data.mkdir(parents=True)
    (data / "storage.bson").write_text("x")
    mongod = EmbeddedMongod(tmp_path / "mongod", binary)

    with pytest.raises(MongodRefused) as raised:
        await mongod.start()

    assert "Unable to read the storage engine metadata file: BSON data has to be at least 5 bytes" in str(raised.value)
    assert str(data) in str(raised.value)
    assert "MONGODB_URI" in str(raised.value)


@pytest.mark.parametrize(
    ("loader_message", "quoted"),
    [
        (
            "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file",
            "libcurl.so.4: cannot open shared object file",
        ),
        (
            "mongod: /lib/libc.so.6: version `GLIBC_2.34' not found (required by mongod)",
            "/lib/libc.so.6: version `GLIBC_2.34' not found (required by mongod)",
        ),
    ],
)
async def test_start_without_system_library_names_it(tmp_path: Path, loader_message: str, quoted: str) -> None:
    fake = _executable(
        tmp_path / "mongod.sh", f'#!/bin/sh\necho "{loader_message}" | sed s/x/x/ >&2\nexit 127\n'.replace("`", "\\`")
    )
    mongod = EmbeddedMongod(tmp_path / "mongod", fake)

    with pytest.raises(MissingLibrary) as raised:
        await mongod.start()

    assert f"({quoted})" in str(raised.value)


async def test_start_of_binary_for_another_platform_says_so(tmp_path: Path) -> None:
    fake = _executable(tmp_path / "mongod.bin", "\x7fELF of another machine")
    mongod = EmbeddedMongod(tmp_path / "mongod", fake)

    with pytest.raises(WrongPlatform, match="Exec format error"):
        await mongod.start()


async def test_start_in_folder_that_cannot_be_written_names_setting(tmp_path: Path, binary: Path) -> None:
    (tmp_path / "file").write_text("")
    mongod = EmbeddedMongod(tmp_path / "file" / "mongod", binary)

    with pytest.raises(FolderNotWritable, match="OTLP_MONGO_DATA_DIR"):
        await mongod.start()


async def test_start_again_after_failed_start_succeeds(tmp_path: Path, binary: Path) -> None:
    folder = tmp_path / "mongod"
    fake = _executable(tmp_path / "mongod.sh", "#!/bin/sh\nexit 3\n")
    with pytest.raises(EmbeddedMongodError, match="exit code 3"):
        await EmbeddedMongod(folder, fake).start()
    second = EmbeddedMongod(folder, binary)

    await second.start()

    assert second.pid
    await second.stop()


def test_find_mongod_without_wheel_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MongodNotFound, match="MONGODB_URI"):
        find_mongod()


async def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what another process does sets no event
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether a process is there and no zombie, which a container without an init never reaps."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
