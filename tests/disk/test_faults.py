from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.disk.faults import FOR_GOOD, Faults, Operation
from tests.disk.library import environment

_ATTEMPTS = {
    Operation.OPEN: "os.close(os.open('file', os.O_RDONLY))",
    Operation.READ: "os.pread(file, 1, 0)",
    Operation.WRITE: "os.pwrite(file, b'x', 0)",
    Operation.SYNC: "os.fdatasync(file)",
    Operation.RESIZE: "os.ftruncate(file, 3)",
    Operation.RENAME: "os.replace('file', 'file')",
    Operation.UNLINK: "os.close(os.open('gone', os.O_CREAT)); os.unlink('gone')",
    Operation.MKDIR: "os.mkdir('folder'); os.rmdir('folder')",
    Operation.STAT: "os.fstat(file)",
    Operation.LIST: "os.listdir('.')",
}
_PROGRAM = """
import os, sys
file = os.open('file', os.O_RDWR | os.O_CREAT)
outside = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
print(flush=True)
sys.stdin.readline()
for _ in range(4):
    try:
        {attempt}
        print(0)
    except OSError as error:
        print(error.errno)
    os.write(outside, b'x'), os.fsync(outside), os.stat(sys.argv[1])
"""


@pytest.mark.parametrize(("times", "expected"), [(1, "0 5 0 0"), (2, "0 5 5 0"), (FOR_GOOD, "0 5 5 5")])
@pytest.mark.parametrize("operation", Operation)
def test_call_fails_from_the_chosen_one_on_as_often_as_told(
    disk_library: Path, tmp_path: Path, operation: Operation, times: int, expected: str
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    with Faults(tmp_path / "control") as faults:
        variables = {**os.environ, **environment(disk_library, folder, control=tmp_path / "control")}
        command = [sys.executable, "-c", _PROGRAM.format(attempt=_ATTEMPTS[operation]), str(tmp_path / "outside")]
        with subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdout.readline()
            faults.arm(operation, errno.EIO, skip=1, times=times)
            said = child.communicate("\n", timeout=20)[0]

        assert said.split() == expected.split()
        assert faults.failed == expected.count("5")
        assert faults.calls(operation) >= 4
