from __future__ import annotations

from pathlib import Path

import pytest

from exporter.mongodb.connection_string import check, given_options


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://db:27017",
        "mongodb://app:p%40%2F%3A%25@a,b:1/x?w=1",
        "mongodb+srv://app:p@db.example.com/?retryWrites=true",
        "mongodb://[::1]:27017/?appName=me@here",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock/",
        "mongodb://h/?readPreference=secondary&readPreferenceTags=a:b&readPreferenceTags=",
        "mongodb://h/?compressors=zlib",
    ],
)
def test_check_sound_connection_string_says_nothing(uri: str) -> None:
    assert check(uri) == ()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("localhost:27017", "does not start with mongodb://"),
        ("mongodb://", "at least one hostname"),
        ("mongodb://app:a@b@h/", "percent-encoded"),
        ("mongodb://app:a:b@h/", "percent-encoded"),
        ("mongodb://app:a/b@h/", "percent-encoded"),
        ("mongodb://app:a%zz@h/", "percent-encoded"),
        ("mongodb://app:1?b@h/", "percent-encoded"),
        ("mongodb://app:1?b=c@h/", "percent-encoded"),
        ("mongodb://app:secret", "percent-encoded"),
        ("mongodb://:p@h/", "user name is empty"),
        ("mongodb://h:99999/", "0 and 65535"),
        ("mongodb+srv://h:27017/", "one host name without a port"),
        ("mongodb+srv://a,b/", "one host name without a port"),
        ("mongodb+srv://h/?directConnection=true", "directConnection"),
        ("mongodb://a,b/?directConnection=true", "directConnection"),
        ("mongodb://h/?replicaSet=a&loadBalanced=true", "loadBalanced"),
        ("mongodb://h/?ssl=true&tls=false", "conflicting"),
        ("mongodb://h/?tlsInsecure=true&tlsAllowInvalidHostnames=true", "tlsInsecure"),
        ("mongodb://h/?w=0", "option w is 0"),
        ("mongodb://h/?w=", "option w has no value"),
        ("mongodb://h/?tls=maybe", "option tls has a wrong value"),
        ("mongodb://h/?wTimeoutMS=soon", "option wTimeoutMS has a wrong value"),
        ("mongodb://h/?readPreference=first", "option readPreference has a wrong value"),
        ("mongodb://h/?authMechanism=SCRAM", "option authMechanism has a wrong value: it takes SCRAM-SHA-256"),
        ("mongodb://h/?authMechanismProperties=secret", "option authMechanismProperties has a wrong value"),
        ("mongodb://h/?authMechanism=GSSAPI", "module is missing"),
        ("mongodb://u:p@h/?authMechanism=MONGODB-AWS", "module is missing"),
        ("mongodb://h/?journal", "option journal has no value"),
        ("mongodb://h/?tlsCAFile=%2Fnot%2Fthere.pem", r"tlsCAFile names '/not/there.pem', .*No such file"),
        ("mongodb://h/?tlsCertificateKeyFile=/", r"tlsCertificateKeyFile names '/', .*Is a directory"),
        ("mongodb://h/?tls=true&tlsCRLFile=nowhere", r"tlsCRLFile names 'nowhere', .*No such file"),
    ],
)
def test_check_wrong_connection_string_names_what_is_wrong(uri: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        check(uri)

    assert "secret" not in str(raised.value)


def test_check_file_that_may_not_be_read_names_the_option(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()

    with pytest.raises(ValueError, match="tlsCAFile"):
        check(f"mongodb://h/?tlsCAFile={folder}")


@pytest.mark.parametrize(
    ("uri", "warning"),
    [
        ("mongodb://h/?retryWrite=true", "its option retryWrite is none that the driver knows, and has no effect"),
        ("mongodb://h/?tlsCertificateKeyFilePassword=a&secret=c", "& is written as %26"),
        ("mongodb://h/?compressors=snappy,zlib", "compressors names snappy, which is not installed here"),
        ("mongodb://h/?compressors=secret", "it takes zstd, zlib or snappy"),
    ],
)
def test_check_option_without_effect_is_warned_of(uri: str, warning: str) -> None:
    (found,) = check(uri)

    assert warning in found
    assert "secret" not in found


def test_given_options_are_decoded_by_lower_case_name() -> None:
    assert given_options("mongodb://u:p@h/x?AppName=a%20b&w=1") == {"appname": "a b", "w": "1"}
