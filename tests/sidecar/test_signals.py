"""What signals do to the real process, from its first moment to its last."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sidecar.serving import COMMAND, Serving, handles_sigterm, send_log, start

_NOBODY = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200"
_MOMENTS = [moment / 1000 for moment in range(0, 1600, 100)]
"""Seconds after the handlers are there: through the imports, the start, and the first moments of running."""
_PROMPTLY = 10.0
"""Seconds, on a machine with other things to do."""
_NEW_PID_NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child")

_STRANGE = (
    *("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPWR", "SIGSTKFLT", "SIGPIPE"),
    *("SIGWINCH", "SIGURG", "SIGCHLD", "SIGCONT", "SIGRTMIN", "SIGRTMAX"),
)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    with start(tmp_path, MONGODB_URI=_NOBODY) as running:
        running.wait_until_ready()
        yield running


def _left_behind(folder: Path) -> list[str]:
    data = folder / "data"
    return [name for name in ("sidecar.json", "admin.sock") if (data / name).exists()]


@pytest.mark.parametrize("moment", _MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_at_any_moment_of_the_start_ends_it_promptly_with_exit_code_0(
    tmp_path: Path, moment: float, number: signal.Signals
) -> None:
    with start(tmp_path, MONGODB_URI=_NOBODY) as running:
        running.wait_until_signals_are_taken()
        time.sleep(moment)

        running.process.send_signal(number)
        exit_code = running.process.wait(_PROMPTLY)

        assert exit_code == 0, running.log()
        assert "Traceback" not in running.log()
        assert _left_behind(tmp_path) == []


def _can_make_pid_namespaces() -> bool:
    try:
        return subprocess.run([*_NEW_PID_NAMESPACE, "true"], capture_output=True, timeout=10).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not _can_make_pid_namespaces(), reason="needs the right to make PID namespaces")
@pytest.mark.parametrize("moment", _MOMENTS[::3])
def test_sigterm_at_any_moment_of_the_start_ends_process_1_of_a_container(tmp_path: Path, moment: float) -> None:
    with start(tmp_path, MONGODB_URI=_NOBODY, prefix=_NEW_PID_NAMESPACE) as running:
        children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
        running.wait_until(lambda: any(handles_sigterm(int(child)) for child in children.read_text().split()))
        (child,) = children.read_text().split()
        time.sleep(moment)

        os.kill(int(child), signal.SIGTERM)
        exit_code = running.process.wait(_PROMPTLY)

        assert exit_code == 0, running.log()
        assert _left_behind(tmp_path) == []


def test_handlers_are_there_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    script = (
        "import signal, sys, sidecar.command_line as heavy\n"
        "import sidecar.cli\n"
        "heavy.app = lambda **_options: print(signal.getsignal(signal.SIGTERM).__qualname__)\n"
        "sys.argv = ['otlp-mongo', 'serve']\n"
        "sidecar.cli.main()\n"
    )

    result = subprocess.run([COMMAND[0], "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=20)

    assert result.stdout == "Signals._on_stop\n", result.stderr


def test_signals_that_nobody_uses_are_harmless(serving: Serving) -> None:
    for name in _STRANGE * 3:
        serving.process.send_signal(getattr(signal, name))
    serving.wait_until(lambda: "SIGUSR2" in serving.log())

    answer = send_log(serving)

    assert answer == 200
    assert serving.get("/healthz") == (200, "ok\n")
    ignored = {line["signal"] for line in serving.log_lines() if line["message"] == "a signal that does nothing"}
    assert ignored == {"SIGUSR1", "SIGUSR2"}
    assert serving.stop() == 0


def test_sighup_goes_on_serving_and_says_what_it_read(serving: Serving) -> None:
    serving.process.send_signal(signal.SIGHUP)
    serving.wait_until(lambda: "reading secrets and certificates again" in serving.log())

    assert send_log(serving) == 200
    assert serving.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGXCPU])
def test_signal_that_means_a_stop_is_a_graceful_one(serving: Serving, number: signal.Signals) -> None:
    serving.process.send_signal(number)

    assert serving.process.wait(_PROMPTLY) == 0
    assert _left_behind(serving.folder) == []


def test_second_signal_while_stopping_ends_it_at_once_with_exit_code_1(tmp_path: Path) -> None:
    with start(tmp_path, MONGODB_URI=_NOBODY, OTLP_MONGO_DRAIN_DELAY="50s", OTLP_MONGO_SHUTDOWN_GRACE="55s") as running:
        running.wait_until_ready()
        running.process.send_signal(signal.SIGTERM)
        running.wait_until(lambda: '"message":"stopping"' in running.log())

        running.process.send_signal(signal.SIGTERM)
        exit_code = running.process.wait(_PROMPTLY)

    assert exit_code == 1
    assert running.log_lines()[-1]["message"] == "a second signal: ending at once"


def test_start_after_a_kill_finds_what_was_left_behind_and_works(tmp_path: Path) -> None:
    with start(tmp_path, MONGODB_URI=_NOBODY) as killed:
        killed.wait_until_ready()
        send_log(killed)
        killed.process.kill()
        killed.process.wait()
    assert (tmp_path / "data" / "sidecar.json").exists()

    with start(tmp_path, MONGODB_URI=_NOBODY) as running:
        running.wait_until_ready()
        status = running.command("buffer", "status", "--json")

        assert running.state["pid"] == running.process.pid
        assert json.loads(status.stdout)["destinations"][0]["backlog"]["records"] == "1"
        assert running.stop() == 0
