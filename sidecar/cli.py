"""The entry point, kept light: signals must be taken before anything heavy is imported."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command, and turn what a user can cause into one line and an exit code."""
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
