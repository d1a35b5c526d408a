"""The command line as a user meets it: real processes, exit codes, one line on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_COMMAND = [sys.executable, "-c", "from sidecar.cli import main; main()"]


def _run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTLP_MONGO_", "MONGODB_"))}
    return subprocess.run(
        [*_COMMAND, *arguments], capture_output=True, text=True, cwd=folder, env=inherited | variables, timeout=50
    )


def _last_line(result: subprocess.CompletedProcess[str]) -> str:
    return result.stderr.splitlines()[-1] if result.stderr else ""


def test_help_names_every_command(tmp_path: Path) -> None:
    result = _run(tmp_path, "--help")

    assert result.returncode == 0
    assert all(name in result.stdout for name in ("serve", "config", "check", "healthcheck", "init", "demo"))


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("sidecar.command_line", ("grpc", "pymongo", "aiohttp", "pydantic")),
        # Signals are not taken before it is imported.
        ("sidecar.cli", ("grpc", "pymongo", "aiohttp", "pydantic", "typer", "click", "structlog", "asyncio")),
    ],
)
def test_entry_point_and_commands_import_nothing_heavy(tmp_path: Path, module: str, heavy: tuple[str, ...]) -> None:
    script = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=20)

    assert result.stdout == "[]\n"


def test_unknown_command_exits_2(tmp_path: Path) -> None:
    result = _run(tmp_path, "sevre")

    assert result.returncode == 2
    assert "No such command 'sevre'" in result.stderr


@pytest.mark.parametrize("command", ["serve", "config", "check", "healthcheck", "init", "demo"])
def test_any_command_with_wrong_setting_exits_2_with_one_line(tmp_path: Path, command: str) -> None:
    result = _run(tmp_path, command, OTLP_MONGO_HTTP_ENDPOINT="nowhere")

    assert result.returncode == 2
    assert result.stderr == (
        "otlp-mongo: OTLP_MONGO_HTTP_ENDPOINT: got 'nowhere' (it is no address), "
        "takes host:port (port 0 picks a free one), unix:/path, or off\n"
    )


def test_config_shows_value_default_and_source(tmp_path: Path) -> None:
    result = _run(tmp_path, "config", "--format", "json", MONGODB_URI="mongodb://app:hunter2@db/")

    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert result.returncode == 0
    assert rows["MONGODB_URI"]["value"] == "mongodb://***@db/"
    assert rows["MONGODB_URI"]["source"] == "environment"
    assert rows["MONGODB_DATABASE"]["default"] == "otel"


def test_config_as_table_hides_secrets(tmp_path: Path) -> None:
    result = _run(tmp_path, "config", MONGODB_URI="mongodb://app:hunter2@db/")

    assert result.returncode == 0
    assert "mongodb://***@db/" in result.stdout
    assert "hunter2" not in result.stdout + result.stderr


@pytest.mark.parametrize("choice", ["native", "reference"])
def test_config_as_table_shows_what_the_choice_of_a_transcoder_comes_to(tmp_path: Path, choice: str) -> None:
    pytest.importorskip("exporter.transcode.native", exc_type=ImportError)
    pytest.importorskip("receiver.otlp_json.native", exc_type=ImportError)

    result = _run(tmp_path, "config", OTLP_MONGO_TRANSCODER=choice)

    assert result.stdout.splitlines()[-2:] == [f"transcoder in use: {choice}", f"JSON converter in use: {choice}"]


def test_config_as_env_is_a_dotenv_file_that_is_read_back(tmp_path: Path) -> None:
    first = _run(tmp_path, "config", "--format", "env", OTLP_MONGO_RETENTION_LOGS="36h", OTLP_MONGO_CORS_ORIGINS="*")
    (tmp_path / ".env").write_text(first.stdout)

    second = _run(tmp_path, "config", "--format", "json")

    rows = {row["name"]: row for row in json.loads(second.stdout)}
    assert rows["OTLP_MONGO_RETENTION_LOGS"]["value"] == "36h"
    assert rows["OTLP_MONGO_CORS_ORIGINS"]["value"] == "*"
    assert rows["OTLP_MONGO_CORS_ORIGINS"]["source"] == ".env"
    assert rows["OTLP_MONGO_RETENTION_SPANS"]["source"] == "default"


def test_config_with_misspelt_setting_warns(tmp_path: Path) -> None:
    result = _run(tmp_path, "config", OTLP_MONGO_DEDUPLICATION="false")

    assert result.returncode == 0
    assert result.stderr == "otlp-mongo: OTLP_MONGO_DEDUPLICATION is no setting: is OTLP_MONGO_DEDUPLICATE meant?\n"


def test_healthcheck_without_sidecar_exits_1_with_one_line(tmp_path: Path) -> None:
    result = _run(tmp_path, "healthcheck", OTLP_MONGO_ADMIN_ENDPOINT=f"unix:{tmp_path}/none.sock")

    assert result.returncode == 1
    assert result.stderr.startswith("otlp-mongo: no sidecar answers on unix:")
    assert result.stderr.count("\n") == 1


def test_demo_without_sidecar_says_how_to_start_one(tmp_path: Path) -> None:
    result = _run(tmp_path, "demo")

    assert result.returncode == 1
    assert "otlp-mongo serve --embedded" in result.stderr
    assert result.stderr.count("\n") == 1


def test_serve_without_mongodb_exits_2_and_names_setting(tmp_path: Path) -> None:
    result = _run(tmp_path, "serve")

    assert result.returncode == 2
    assert _last_line(result).startswith("otlp-mongo: MONGODB_URI: is not set")


def test_serve_with_data_folder_that_cannot_be_written_exits_1_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = _run(
        tmp_path,
        "serve",
        MONGODB_URI="mongodb://127.0.0.1:1/",
        OTLP_MONGO_DATA_DIR=str(tmp_path / "file" / "data"),
        OTLP_MONGO_LOG_LEVEL="error",
    )

    assert result.returncode == 1
    assert result.stderr.startswith("otlp-mongo: OTLP_MONGO_DATA_DIR: cannot write the folder")
    assert result.stderr.count("\n") == 1


def test_check_with_unreachable_mongodb_exits_1_with_a_line_for_each_check(tmp_path: Path) -> None:
    result = _run(
        tmp_path,
        "check",
        MONGODB_URI="mongodb://127.0.0.1:1/",
        OTLP_MONGO_START_TIMEOUT="200ms",
        OTLP_MONGO_GRPC_ENDPOINT="127.0.0.1:0",
        OTLP_MONGO_HTTP_ENDPOINT="127.0.0.1:0",
        OTLP_MONGO_ADMIN_ENDPOINT="off",
    )

    lines = result.stdout.splitlines()
    assert result.returncode == 1
    assert [line.split(":")[0].split(None, 1) for line in lines] == [
        ["ok", "settings"],
        ["ok", "data folder"],
        ["ok", "retry buffer"],
        ["FAILED", "local MongoDB"],
        ["ok", "gRPC endpoint"],
        ["ok", "HTTP endpoint"],
    ]
