"""Where the admin service's socket lies when the settings leave it to us.

Who reaches it may administrate, so it is never on the network: it is a Unix socket in the data folder or, where that
folder's path is too long for a socket's (unix(7)), in a private folder for what lives as long as a process does.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from sidecar.addresses import LONGEST_UNIX_PATH
from sidecar.errors import UserError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class NoSafePlace(UserError):
    """There is no place for the socket that is ours alone."""


def admin_socket(data_folder: Path) -> str:
    """The endpoint for the sidecar of a data folder. Touches the disk: call it in a thread.

    Raises:
        NoSafePlace: the data folder's path is too long, and there is no other place.
    """
    path = data_folder / "admin.sock"
    if len(bytes(path)) > LONGEST_UNIX_PATH:
        path = _runtime_folder() / f"{hashlib.sha256(bytes(data_folder)).hexdigest()[:16]}.sock"
    if len(bytes(path)) > LONGEST_UNIX_PATH:
        raise NoSafePlace(f"the path {path} is too long for a socket{_ADVICE}")
    return f"unix:{path}"


_ADVICE = (
    ": set OTLP_MONGO_DATA_DIR to a shorter path, or OTLP_MONGO_ADMIN_GRPC_ENDPOINT to unix:/path of at most "
    f"{LONGEST_UNIX_PATH} bytes"
)


def _runtime_folder() -> Path:
    """A folder that nobody else can look into, write to or replace."""
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        base, name = Path(runtime), "otlp-mongo"
    else:
        base, name = Path(tempfile.gettempdir()), f"otlp-mongo-{os.geteuid()}"
    folder = base.absolute() / name
    try:
        _check_base(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _check(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise NoSafePlace(
            f"the data folder's path is too long for the admin socket, and {folder} cannot be used instead "
            f"({reason}){_ADVICE}"
        ) from error
    return folder


def _check_base(base: Path) -> None:
    """In a folder that others may write to, only the sticky bit keeps them from replacing ours."""
    found = base.stat()
    if found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX:
        raise PermissionError(0, f"others may replace what is in {base}")
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(0, f"{base} belongs to another user")


def _check(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(0, "it is no folder")
    if found.st_uid != os.geteuid():
        raise PermissionError(0, "it belongs to another user")
    if found.st_mode & _OTHERS:
        raise PermissionError(0, "others may look into it")
