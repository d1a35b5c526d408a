"""What `serve` sets about its process; each in a process of its own."""

import os
import subprocess
import sys

import pytest

_GRPC = """
import os
from sidecar.process import prepare_grpc
prepare_grpc()
os.environ["GRPC_VERBOSITY"] = "ERROR"
import asyncio, grpc.aio
async def main():
    server = grpc.aio.server()
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await server.stop(0)
asyncio.run(main())
print(os.environ["GRPC_EXPERIMENTS"])
"""
_ALLOCATOR = """
import ctypes
from sidecar.process import tune_allocator
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd".split()]
    _fields_ += [("rest", ctypes.c_size_t * 5)]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
done = tune_allocator()
before = libc.mallinfo2().hblks
block = bytearray(16 << 20)
print(done, libc.mallinfo2().hblks - before)
"""
_COLLECTOR = """
import gc
from sidecar.process import settle_garbage_collector
settle_garbage_collector()
print(gc.get_freeze_count() > 0, gc.get_threshold()[0] > 700)
"""


def _run(script: str, **environment: str) -> tuple[str, str]:
    """What it wrote to stdout and to stderr."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("GRPC_", "MALLOC_", "GLIBC_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, env=inherited | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_prepare_grpc_this_core_still_has_the_old_poller() -> None:
    """When core complains of an unknown experiment, `docs/fast-path.md` has to be measured anew."""
    output, errors = _run(_GRPC)

    assert output == "-event_engine_listener"
    assert errors == ""


def test_prepare_grpc_user_set_experiments_holds_them() -> None:
    output, _ = _run(_GRPC, GRPC_EXPERIMENTS="event_engine_listener")

    assert output == "event_engine_listener"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is set up")
def test_tune_allocator_large_block_comes_from_the_heap() -> None:
    output, _ = _run(_ALLOCATOR)

    assert output == "True 0"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator is set up")
def test_tune_allocator_user_set_it_up_leaves_it() -> None:
    output, _ = _run(_ALLOCATOR, MALLOC_ARENA_MAX="2")

    assert output == "False 1"


def test_settle_garbage_collector_leaves_out_what_is_there() -> None:
    output, _ = _run(_COLLECTOR)

    assert output == "True True"
