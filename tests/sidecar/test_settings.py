"""Settings: where they come from, what they take, and what a wrong one says."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.settings import Settings, SettingsError, load, redact
from sidecar.settings.describe import describe
from sidecar.settings.rules import violations
from sidecar.settings.types import format_bytes, format_duration, parse_duration

_SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("OTLP_MONGO_", "MONGODB_")):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "OTLP_MONGO_GRPC_ENDPOINT",
            "localhost",
            "OTLP_MONGO_GRPC_ENDPOINT: got 'localhost' (it is no address), "
            "takes host:port (port 0 picks a free one), unix:/path, or off",
        ),
        (
            "OTLP_MONGO_HTTP_ENDPOINT",
            "127.0.0.1:99999",
            "OTLP_MONGO_HTTP_ENDPOINT: got '127.0.0.1:99999' (it is no address), "
            "takes host:port (port 0 picks a free one), unix:/path, or off",
        ),
        (
            "OTLP_MONGO_ADMIN_ENDPOINT",
            "unix:relative",
            "OTLP_MONGO_ADMIN_ENDPOINT: got 'unix:relative' "
            "(the path of a socket is absolute and at most 107 bytes long), "
            "takes host:port (port 0 picks a free one), unix:/path, or off",
        ),
        (
            "OTLP_MONGO_MAX_REQUEST_BYTES",
            "2GiB",
            "OTLP_MONGO_MAX_REQUEST_BYTES: got '2GiB', takes a size from 1KiB to 1GiB, as in 20MiB",
        ),
        (
            "OTLP_MONGO_MEMORY_BUDGET",
            "plenty",
            "OTLP_MONGO_MEMORY_BUDGET: got 'plenty', "
            "takes a size from 1MiB to 64GiB, as in 128MiB, not below OTLP_MONGO_MAX_REQUEST_BYTES",
        ),
        (
            "OTLP_MONGO_MEMORY_BUDGET",
            "10MiB",
            "OTLP_MONGO_MEMORY_BUDGET: got 10MiB, takes at least OTLP_MONGO_MAX_REQUEST_BYTES (20MiB), "
            "or large requests never fit",
        ),
        ("OTLP_MONGO_DEDUPLICATE", "maybe", "OTLP_MONGO_DEDUPLICATE: got 'maybe', takes true or false"),
        (
            "OTLP_MONGO_RETENTION_SPANS",
            "one week",
            "OTLP_MONGO_RETENTION_SPANS: got 'one week' (it is no duration), "
            "takes a duration of 1m to 10 years (3650d), as in 7d or 36h, or off, which keeps them for ever; "
            "empty leaves it as MongoDB has it",
        ),
        (
            "OTLP_MONGO_RETENTION_LOGS",
            "1s",
            "OTLP_MONGO_RETENTION_LOGS: got '1s' (it is too short), "
            "takes a duration of 1m to 10 years (3650d), as in 7d or 36h, or off, which keeps them for ever; "
            "empty leaves it as MongoDB has it",
        ),
        (
            "OTLP_MONGO_INSERT_CONCURRENCY",
            "0",
            "OTLP_MONGO_INSERT_CONCURRENCY: got '0', takes a whole number from 1 to 64",
        ),
        (
            "OTLP_MONGO_START_TIMEOUT",
            "-1",
            "OTLP_MONGO_START_TIMEOUT: got '-1' (it is no duration), takes a duration from 100ms to 10m, as in 10s",
        ),
        (
            "OTLP_MONGO_TRANSCODER",
            "rust",
            "OTLP_MONGO_TRANSCODER: got 'rust', takes auto, native or reference",
        ),
        (
            "OTLP_MONGO_LOG_LEVEL",
            "loud",
            "OTLP_MONGO_LOG_LEVEL: got 'loud', takes debug, info, warning or error",
        ),
        (
            "MONGODB_DATABASE",
            "admin",
            "MONGODB_DATABASE: got 'admin' (it is a system database), "
            'takes a database name of at most 63 bytes without / \\ . " $ * < > : | ? and blanks',
        ),
        (
            "MONGODB_URI",
            "localhost:27017",
            "MONGODB_URI: got (hidden, 15 characters) (it does not start with mongodb:// or mongodb+srv://), "
            "takes a connection string, as in mongodb://user:password@host:27017",
        ),
        (
            "MONGODB_URI_FILE",
            "missing",
            "MONGODB_URI_FILE: got 'missing' (No such file or directory), takes the path of a file that can be read",
        ),
        (
            "MONGODB_CLOUD_DATABASE",
            "copy",
            "MONGODB_CLOUD_DATABASE: got 'copy' without MONGODB_CLOUD_URI, takes a name only beside one",
        ),
    ],
)
def test_load_with_wrong_value_names_setting_value_and_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as raised:
        load()

    assert str(raised.value) == line
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://app:{_SECRET}@:host",
        f"mongodb://app:p@{_SECRET}/x@host:27017/",
        f"mongodb://app:{_SECRET}@host:port",
        f"mongodb+srv://app:{_SECRET}@",
        f"app:{_SECRET}@host",
        f'{{"username": "app", "password": "{_SECRET}"}}',
        f"mongodb://host:port/?tlsCertificateKeyFilePassword={_SECRET}",
    ],
)
def test_load_with_wrong_uri_shows_no_secret(monkeypatch: pytest.MonkeyPatch, uri: str) -> None:
    monkeypatch.setenv("MONGODB_URI", uri)

    with pytest.raises(SettingsError, match="MONGODB_URI") as raised:
        load()

    assert _SECRET not in str(raised.value)


@pytest.mark.parametrize("name", ["MONGODB_URI_FILE", "OTLP_MONGO_GRPC_ENDPOINT", "MONGODB_DATABASE"])
def test_load_with_uri_in_the_wrong_variable_shows_no_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, f"mongodb://app:{_SECRET}@db/")

    with pytest.raises(SettingsError, match=name) as raised:
        load()

    assert _SECRET not in str(raised.value)


def test_load_with_option_without_effect_warns_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", f"mongodb://app:{_SECRET}@db/?retryWrite=true&compressors=snappy")

    warnings = load().warnings

    assert len(warnings) == 2
    assert all(warning.startswith("MONGODB_URI: its option") and _SECRET not in warning for warning in warnings)


def test_load_with_several_wrong_values_has_a_line_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTLP_MONGO_LOG_LEVEL", "loud")
    monkeypatch.setenv("OTLP_MONGO_TRANSCODER", "rust")

    with pytest.raises(SettingsError) as raised:
        load()

    assert [line.partition(":")[0] for line in str(raised.value).splitlines()] == [
        "OTLP_MONGO_TRANSCODER",
        "OTLP_MONGO_LOG_LEVEL",
    ]


def test_load_with_nothing_set_gives_documented_defaults() -> None:
    settings = load().settings

    assert settings.mongodb_uri is None
    assert settings.mongodb_database == "otel"
    assert settings.grpc_endpoint == "127.0.0.1:4317"
    assert settings.http_endpoint == "127.0.0.1:4318"
    assert settings.admin_endpoint == "127.0.0.1:13133"
    assert settings.max_request_bytes == 20 * 1024 * 1024
    assert settings.shutdown_grace == timedelta(seconds=25)


def test_load_prefers_environment_to_dotenv(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("MONGODB_DATABASE=from_file\nOTLP_MONGO_LOG_LEVEL=debug\n")
    monkeypatch.setenv("MONGODB_DATABASE", "from_environment")

    loaded = load()

    assert loaded.settings.mongodb_database == "from_environment"
    assert loaded.settings.log_level == "debug"
    assert loaded.sources["MONGODB_DATABASE"] == "environment"
    assert loaded.sources["OTLP_MONGO_LOG_LEVEL"] == ".env"
    assert loaded.sources["MONGODB_URI"] == "default"


def test_load_reads_secret_from_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"mongodb://app:{_SECRET}@db:27017/\n")
    monkeypatch.setenv("MONGODB_URI_FILE", str(tmp_path / "secret"))

    loaded = load()

    assert loaded.settings.mongodb_uri is not None
    assert loaded.settings.mongodb_uri.get_secret_value() == f"mongodb://app:{_SECRET}@db:27017/"
    assert loaded.sources["MONGODB_URI"] == "MONGODB_URI_FILE (environment)"


def test_load_with_secret_by_value_and_by_file_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mongodb://db:27017/")
    monkeypatch.setenv("MONGODB_URI_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("MONGODB_URI", "mongodb://db:27017/")

    with pytest.raises(SettingsError, match="takes one of the two"):
        load()


def test_load_with_wrong_uri_in_file_shows_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"app:{_SECRET}@host")
    monkeypatch.setenv("MONGODB_URI_FILE", str(tmp_path / "secret"))

    with pytest.raises(SettingsError, match="the content of") as raised:
        load()

    assert _SECRET not in str(raised.value)


@pytest.mark.parametrize("text", ["", "off", "OFF"])
def test_load_with_endpoint_off_or_empty_turns_receiver_off(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OTLP_MONGO_GRPC_ENDPOINT", text)

    assert load().settings.grpc_endpoint is None


@pytest.mark.parametrize("text", ["0.0.0.0:4317", "[::1]:0", "localhost:4317", "unix:/run/otlp.sock"])
def test_load_with_address_keeps_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OTLP_MONGO_GRPC_ENDPOINT", text)

    assert load().settings.grpc_endpoint == text


@pytest.mark.parametrize("name", ["MONGODB_CLOUD_URI", "OTLP_MONGO_RETENTION_SPANS", "OTLP_MONGO_MEMORY_BUDGET"])
def test_load_with_empty_value_takes_default(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    unset = load().settings
    monkeypatch.setenv(name, "")

    assert load().settings == unset


def test_load_with_unknown_variable_names_nearest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTLP_MONGO_RETENTION_SPAN", "7d")

    assert load().warnings == ("OTLP_MONGO_RETENTION_SPAN is no setting: is OTLP_MONGO_RETENTION_SPANS meant?",)


def test_describe_shows_every_setting_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", f"mongodb://app:{_SECRET}@db:27017/?authSource=admin")
    monkeypatch.setenv("OTLP_MONGO_RETENTION_SPANS", "36h")

    rows = {row.name: row for row in describe(load())}

    assert set(rows) == {field.validation_alias for field in Settings.model_fields.values()}
    assert rows["MONGODB_URI"].value == "mongodb://***@db:27017/?authSource=admin"
    assert rows["OTLP_MONGO_RETENTION_SPANS"].value == "36h"
    assert rows["OTLP_MONGO_MAX_REQUEST_BYTES"].default == "20MiB"
    assert all(row.description and row.takes for row in rows.values())


def test_violations_of_two_endpoints_alike_names_the_second() -> None:
    settings = Settings.model_validate(
        {"OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:4317", "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:4317"}
    )

    assert list(violations(settings)) == [
        "OTLP_MONGO_HTTP_ENDPOINT: got '127.0.0.1:4317', which is OTLP_MONGO_GRPC_ENDPOINT too, "
        "takes an address of its own"
    ]


def test_violations_of_endpoints_with_port_0_are_none() -> None:
    settings = Settings.model_validate(
        {"OTLP_MONGO_GRPC_ENDPOINT": "127.0.0.1:0", "OTLP_MONGO_HTTP_ENDPOINT": "127.0.0.1:0"}
    )

    assert list(violations(settings)) == []


def test_violations_without_any_receiver_asks_for_one() -> None:
    settings = Settings.model_validate({"OTLP_MONGO_GRPC_ENDPOINT": "off", "OTLP_MONGO_HTTP_ENDPOINT": ""})

    assert len(list(violations(settings))) == 1


@pytest.mark.parametrize(("database", "count"), [("otel", 1), ("other", 0)])
def test_violations_of_cloud_that_is_the_local_one_depend_on_database(database: str, count: int) -> None:
    settings = Settings.model_validate(
        {"MONGODB_URI": "mongodb://db/", "MONGODB_CLOUD_URI": "mongodb://db/", "MONGODB_CLOUD_DATABASE": database}
    )

    assert len(list(violations(settings))) == count


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://db:27017", "mongodb://db:27017"),
        (f"mongodb://app:{_SECRET}@a,b/x?w=1", "mongodb://***@a,b/x?w=1"),
        (f"mongodb+srv://app:p%40{_SECRET}@db/", "mongodb+srv://***@db/"),
        (f"mongodb://app:p?{_SECRET}@db/", "mongodb://***@db/"),
        (f"mongodb://db/?AuthMechanismProperties=TOKEN:{_SECRET}&w=1", "mongodb://db/?AuthMechanismProperties=***&w=1"),
        (_SECRET, "(hidden, 7 characters)"),
    ],
)
def test_redact_hides_what_is_secret(uri: str, shown: str) -> None:
    assert redact(uri) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("250ms", timedelta(milliseconds=250)),
        ("1.5s", timedelta(seconds=1.5)),
        ("36h", timedelta(hours=36)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("90", timedelta(seconds=90)),
    ],
)
def test_durations_read_back_as_they_are_shown(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected
    assert parse_duration(format_duration(expected)) == expected


def test_format_duration_of_nothing_is_in_seconds() -> None:
    assert format_duration(timedelta(0)) == "0s"


@pytest.mark.parametrize(("size", "text"), [(1 << 30, "1GiB"), (20 << 20, "20MiB"), (1500, "1500B"), (0, "0B")])
def test_format_bytes_takes_largest_unit_that_divides(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_load_retention_off_is_kept_apart_from_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTLP_MONGO_RETENTION_SPANS", "Off")
    monkeypatch.setenv("OTLP_MONGO_RETENTION_LOGS", "")

    loaded = load()

    rows = {row.name: row.value for row in describe(loaded)}
    assert (loaded.settings.retention_spans, loaded.settings.retention_logs) == ("off", None)
    assert (rows["OTLP_MONGO_RETENTION_SPANS"], rows["OTLP_MONGO_RETENTION_LOGS"]) == ("off", "")
