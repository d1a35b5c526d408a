"""What `serve` sets about its own process so that it needs less CPU time; the figures are in docs/fast-path.md."""

from __future__ import annotations

import ctypes
import gc
import os

_MALLOC_SETTINGS = ("MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")
# mallopt(3), malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_KEPT_BYTES = 64 << 20
_LARGEST_MMAP_THRESHOLD = 32 << 20
_GC_THRESHOLDS = (10_000, 20, 50)


def prepare_grpc() -> None:
    """Before gRPC's core is imported: it reads these only then. What the user set holds."""
    # It writes to stderr past all logging; what matters comes as an exception too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Connections are read by the thread that waits for their requests, instead of being handed to it by a pool.
    os.environ.setdefault("GRPC_EXPERIMENTS", "-event_engine_listener")


def tune_allocator() -> bool:
    """Let glibc keep the memory of large requests for the next ones, in one arena that all threads share.

    By default it gives back to the kernel each large block, and gets it anew page fault by page fault. Returns whether
    it was done: not with another C library, and not when the user set the allocator up.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version") or any(name in os.environ for name in _MALLOC_SETTINGS):
        return False
    settings = (
        (_M_ARENA_MAX, 1),
        (_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
    )
    return all(libc.mallopt(name, value) for name, value in settings)


def settle_garbage_collector() -> None:
    """After the start: what is there is there to stay, and need not be looked through again and again.

    A request leaves next to no cycles behind, so that looking for them more rarely costs little memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
