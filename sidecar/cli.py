"""The command line. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from sidecar.errors import UserError

app = typer.Typer(
    name="otlp-mongo",
    help="Stores OpenTelemetry traces, metrics and logs in MongoDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Embedded = Annotated[bool, typer.Option("--embedded", help="Store in a mongod of our own, in the data folder.")]


class ConfigFormat(StrEnum):
    """How `config` prints."""

    TABLE = "table"
    ENV = "env"
    JSON = "json"


def main() -> None:
    """The entry point: runs the command, and turns what a user can cause into one line and an exit code."""
    try:
        app()
    except UserError as error:
        sys.stderr.write(f"otlp-mongo: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read our output has left (as in `| head`); Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


@app.command()
def serve(embedded: Embedded = False) -> None:
    """Receive OTLP and store it, until SIGTERM or Ctrl-C."""
    # gRPC's core writes to stderr past all logging; what matters comes as an exception too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from sidecar.commands.serve import run

    run(embedded=embedded)


@app.command()
def config(
    output: Annotated[ConfigFormat, typer.Option("--format", help="How to print it.")] = ConfigFormat.TABLE,
) -> None:
    """Every setting: its value, default and source. Secrets are not shown."""
    from sidecar.commands.config import run

    run(output)


@app.command()
def check(embedded: Embedded = False) -> None:
    """Try the settings: data folder, addresses, MongoDB and its privileges. Exit code 1 when one fails."""
    from sidecar.commands.check import run

    run(embedded=embedded)


@app.command()
def healthcheck() -> None:
    """Ask the running sidecar whether it is ready: for a container's HEALTHCHECK."""
    from sidecar.commands.healthcheck import run

    run()


@app.command()
def init() -> None:
    """Make the collections and indexes in every MongoDB that is set."""
    from sidecar.commands.init import run

    run()


@app.command()
def demo() -> None:
    """Send a small shop's telemetry to the running sidecar, and show what it stored."""
    from sidecar.commands.demo import run

    run()
