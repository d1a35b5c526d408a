"""The commands and their options. What a command needs is imported when it runs, so that `--help` is quick."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sidecar.errors import UsageError
from sidecar.signals import Signals

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


@app.command()
def serve(context: typer.Context, embedded: Embedded = False) -> None:
    """Receive OTLP and store it, until SIGTERM or Ctrl-C."""
    from sidecar.process import prepare_grpc, tune_allocator

    prepare_grpc()
    tune_allocator()
    from sidecar.commands.serve import run

    # The entry point has them installed already; without it, as in a program of somebody else's, they are now.
    signals = context.obj if isinstance(context.obj, Signals) else Signals.installed()
    run(signals, embedded=embedded)


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


buffer = typer.Typer(no_args_is_help=True, help="What waits in the retry buffer, whether a sidecar runs or not.")
dead_letters = typer.Typer(no_args_is_help=True, help="Records that MongoDB refused for good.")
damaged = typer.Typer(no_args_is_help=True, help="Files of the retry buffer that were set aside as damaged.")
app.add_typer(buffer, name="buffer")
buffer.add_typer(damaged, name="damaged")
app.add_typer(dead_letters, name="dead-letters")

Destination = Annotated[str, typer.Option(help="`local` or `cloud`; the first in the settings when not given.")]
DestinationOrAll = Annotated[str, typer.Option(help="`local` or `cloud`; all when not given.")]
DestinationName = Annotated[str, typer.Argument(help="`local` or `cloud`.")]
Files = Annotated[list[str] | None, typer.Argument(metavar="[FILE]...", help="As `buffer damaged list` shows them.")]
Ids = Annotated[list[str] | None, typer.Argument(help="As `dead-letters list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


class ExportFormat(StrEnum):
    """What `buffer export` writes."""

    JSON = "json"
    PROTOBUF = "protobuf"


@buffer.command("status")
def buffer_status(
    embedded: Embedded = False, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Batches, records, bytes and oldest age for each destination."""
    from sidecar.commands.buffer import status

    status(as_json=json, embedded=embedded)


@buffer.command("verify")
def buffer_verify(embedded: Embedded = False) -> None:
    """Read every batch and compare it with its checksum. Exit code 1 when something is damaged."""
    from sidecar.commands.buffer import verify

    verify(embedded=embedded)


@buffer.command("export")
def buffer_export(
    destination: DestinationName,
    output: Annotated[Path, typer.Option(help="The folder to write to.")],
    file_format: Annotated[ExportFormat, typer.Option("--format", help="OTLP/JSON lines, or protobuf files.")] = (
        ExportFormat.JSON
    ),
    embedded: Embedded = False,
) -> None:
    """Write what waits for a destination to files. It goes on waiting."""
    from sidecar.commands.buffer import export

    export(destination, output, as_json=file_format is ExportFormat.JSON, embedded=embedded)


@buffer.command("drain")
def buffer_drain(embedded: Embedded = False) -> None:
    """Bring over all that waits, however long it takes."""
    from sidecar.commands.buffer import drain

    drain(embedded=embedded)


@buffer.command("pause")
def buffer_pause(destination: DestinationOrAll = "") -> None:
    """Stop bringing the backlog over; live records go on."""
    from sidecar.commands.buffer import pause

    pause(destination)


@buffer.command("resume")
def buffer_resume(destination: DestinationOrAll = "") -> None:
    """Bring the backlog over again."""
    from sidecar.commands.buffer import resume

    resume(destination)


@buffer.command("drop")
def buffer_drop(destination: DestinationName, embedded: Embedded = False) -> None:
    """Give up what waits for a destination that no setting names any more."""
    from sidecar.commands.buffer import drop

    drop(destination, embedded=embedded)


@buffer.command("restore")
def buffer_restore(files: Files = None, embedded: Embedded = False) -> None:
    """Bring back what can be read in files that were set aside as damaged; in all of them when none is named."""
    from sidecar.commands.buffer import restore

    restore(files or [], embedded=embedded)


@damaged.command("list")
def buffer_damaged_list(
    embedded: Embedded = False, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """Size, date, and how many batches can be read in each. Takes as long as reading them does."""
    from sidecar.commands.buffer import list_damaged

    list_damaged(as_json=json, embedded=embedded)


@damaged.command("purge")
def buffer_damaged_purge(files: Files = None, every: All = False, embedded: Embedded = False) -> None:
    """Delete them for good, with what they hold."""
    from sidecar.commands.buffer import purge_damaged

    purge_damaged(_chosen(files, every=every, what="files that `buffer damaged list` shows"), embedded=embedded)


@dead_letters.command("list")
def dead_letters_list(
    destination: Destination = "",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    embedded: Embedded = False,
) -> None:
    """The newest first."""
    from sidecar.commands.dead_letters import list_letters

    list_letters(destination, limit, embedded=embedded)


@dead_letters.command("show")
def dead_letters_show(
    letter_id: Annotated[str, typer.Argument(metavar="ID")], destination: Destination = "", embedded: Embedded = False
) -> None:
    """One of them, its record as OTLP/JSON."""
    from sidecar.commands.dead_letters import show

    show(destination, letter_id, embedded=embedded)


@dead_letters.command("replay")
def dead_letters_replay(
    ids: Ids = None, every: All = False, destination: Destination = "", embedded: Embedded = False
) -> None:
    """Insert them again: those that are taken now are dead letters no more."""
    from sidecar.commands.dead_letters import replay

    replay(destination, _chosen(ids, every=every), embedded=embedded)


@dead_letters.command("purge")
def dead_letters_purge(
    ids: Ids = None, every: All = False, destination: Destination = "", embedded: Embedded = False
) -> None:
    """Delete them for good."""
    from sidecar.commands.dead_letters import purge

    purge(destination, _chosen(ids, every=every), embedded=embedded)


def _chosen(names: list[str] | None, *, every: bool, what: str = "the ids of dead letters") -> list[str]:
    """Those that were given; none for all."""
    if bool(names) == every:
        raise UsageError(f"name {what}, or --all")
    return names or []
