"""The entry point, kept light: signals must be taken before anything heavy is imported."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command, and turn what a user can cause into one line and an exit code."""
    _open_standard_streams()
    if sys.argv[1:] == ["healthcheck"]:
        from sidecar.quick_health import verdict

        reason = verdict()
        if reason is not None:
            sys.exit(f"otlp-mongo: not ready: {reason}" if reason else 0)
    signals = None
    if "serve" in sys.argv[1:2]:
        from sidecar.signals import Signals

        signals = Signals.installed()
    from sidecar.command_line import app
    from sidecar.errors import UserError

    try:
        app(obj=signals)
    except UserError as error:
        sys.stderr.write(f"otlp-mongo: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has left (as in `| head`); Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _open_standard_streams() -> None:
    """Open those that we were started without: a file or connection that got their number would get their output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the smallest number that is free, which is this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as the process lasts
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115
