"""Starting the mongod process, and finding out why it ended."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from sidecar.embedded.binary import missing_library
from sidecar.embedded.errors import EmbeddedMongodError, MissingLibrary, MongodRefused, WrongPlatform
from sidecar.embedded.state import MongodFolder

REPLICA_SET = "otlp-mongo"
_EXEC_FAILED = 126
_SIGNALLED_SHUTDOWN_MILLISECONDS = 100

# Becomes mongod, after it asked the kernel to end it with its parent (prctl(2), PR_SET_PDEATHSIG; outside Linux
# the orphan is stopped by the next start instead). A process of its own rather than `preexec_fn`, which is not safe
# beside the threads of gRPC.
_LAUNCHER = f"""
import os, signal, sys
parent, arguments = int(sys.argv[1]), sys.argv[2:]
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, int(signal.SIGTERM))
except (ImportError, OSError, AttributeError):
    pass
if os.getppid() != parent:
    sys.exit(1)
try:
    os.execv(arguments[0], arguments)
except OSError as error:
    sys.stderr.write(error.strerror)
    sys.exit({_EXEC_FAILED})
"""

# Log lines that say only that mongod ends, not why (mongo/util/assert_util.cpp).
_BOILERPLATE = {23091, 23092}


async def launch(
    binary: Path, folder: MongodFolder, port: int, cache_gigabytes: float, extra_arguments: Sequence[str] = ()
) -> Process:
    """Start mongod on a port of the loopback interface, in a session of its own: Ctrl-C must not end it before us."""
    command = [
        *(sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())),
        str(binary),
        *_arguments(folder, port, cache_gigabytes, extra_arguments),
    ]
    output = await asyncio.to_thread(folder.output.open, "wb")
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    finally:
        await asyncio.to_thread(output.close)


def _arguments(folder: MongodFolder, port: int, cache_gigabytes: float, extra: Sequence[str]) -> Iterator[str]:
    """Our options but for those that `extra` has too, which mongod refuses to be given twice; then `extra`."""
    milliseconds = _SIGNALLED_SHUTDOWN_MILLISECONDS
    ours = (
        ("--dbpath", str(folder.data)),
        ("--logpath", str(folder.log)),
        ("--logappend",),
        ("--quiet",),
        ("--bind_ip", "127.0.0.1"),
        ("--port", str(port)),
        ("--nounixsocket",),
        ("--replSet", REPLICA_SET),
        ("--oplogSize", "990"),
        ("--wiredTigerCacheSizeGB", f"{cache_gigabytes:g}"),
        ("--zstdDefaultCompressionLevel", "1"),  # as small as at the default, for less CPU (docs/storage.md)
        ("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ("--setParameter", f"shutdownTimeoutMillisForSignaledShutdown={milliseconds}"),
    )
    replaced = {argument.partition("=")[0] for argument in extra} - {"--setParameter"}
    for option in ours:
        if option[0] not in replaced:
            yield from option
    yield from extra


async def terminate(process: Process, grace: float) -> None:
    """End a process of ours: SIGTERM, and SIGKILL after `grace` seconds. mongod's journal makes both safe."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(grace):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def terminate_orphan(pid: int, folder: MongodFolder, grace: float) -> None:
    """End a mongod that is no child of ours, likewise."""
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = loop.time() + grace
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            return
        while loop.time() < deadline:
            if not await asyncio.to_thread(folder.runs_here, pid):
                return
            await asyncio.sleep(0.05)


def failure(binary: Path, folder: MongodFolder, exit_code: int, log_offset: int) -> EmbeddedMongodError:
    """Why mongod ended. Reads files: call it in a thread. `log_offset`: where this start's part of the log begins."""
    output = folder.output.read_text(errors="replace").strip()
    if exit_code == _EXEC_FAILED:
        return WrongPlatform(binary, output)
    if library := missing_library(output):
        return MissingLibrary(library)
    quote = _first_error(folder.log, log_offset) or output[-300:] or "no reason given"
    return MongodRefused(folder.data, exit_code, quote, folder.log)


def _first_error(log: Path, offset: int) -> str:
    """The first error in mongod's log, which is the cause of those after it."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            lines = file.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        try:
            entry = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if entry.get("s") in ("E", "F") and entry.get("id") not in _BOILERPLATE:
            return _quote(entry)
    return ""


def _quote(entry: dict[str, Any]) -> str:
    error = entry.get("attr", {}).get("error")
    detail = error.get("errmsg") or error.get("message") if isinstance(error, dict) else error
    return f"{entry['msg']}: {detail}" if detail else str(entry["msg"])


def free_port(preferred: int | None) -> int:
    """A free port of the loopback interface, the preferred one if it is still free."""
    for port in (preferred or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if port and error.errno in (errno.EADDRINUSE, errno.EACCES):
                    continue
                raise
            return int(probe.getsockname()[1])
    raise AssertionError("the second round takes any port")
