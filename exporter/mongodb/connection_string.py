"""Checking a connection string before the driver reads it: what is wrong, in words that show nothing secret.

The driver takes a wrong value with a warning and goes on without the option, and quotes what it could not read, which
may be a part of the password.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_plus

from exporter.mongodb import tls_files
from exporter.mongodb.secrets import Parts, cut, is_public, options_of

_SRV = "mongodb+srv://"

_USER_INFO = (
    "its user name or password holds a character that has to be percent-encoded: "
    "write @ as %40, : as %3A, / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D and % as %25"
)
_COMPRESSORS = ("zlib", "zstd", "snappy")
_MECHANISM_MODULES = {
    "GSSAPI": (("kerberos", "winkerberos"), "pymongo[gssapi]"),
    "MONGODB-AWS": (("pymongo_auth_aws",), "pymongo[aws]"),
}
_FILES = {option.lower(): option for option in (tls_files.CA_FILE, tls_files.KEY_FILE, tls_files.REVOKED)}


def check(uri: str) -> tuple[str, ...]:
    """Check all of a connection string that can be without connecting. Returns warnings.

    Reads the TLS files it names, if only their first byte.

    Raises:
        ValueError: what is wrong and what to do, as the end of a sentence on the connection string.
    """
    parts = cut(uri)
    if parts is None:
        raise ValueError("it does not start with mongodb:// or mongodb+srv://")
    _check_user_info(uri, parts)
    options = dict(_decoded(uri))
    _check_options(options)
    _check_whole(uri)
    return tuple(_warnings(options))


def given_options(uri: str) -> Mapping[str, str]:
    """The options of a connection string, by their names in lower case; values are decoded."""
    return {name.lower(): value for name, value in _decoded(uri)}


def _driver_cut(uri: str) -> Parts:
    """As the driver cuts: at the first `?` and the first `/`. Only for one whose user info is sound."""
    scheme, _, rest = uri.partition("://")
    address, _, options = rest.partition("?")
    authority, slash, path = address.partition("/")
    user_info, at, hosts = authority.rpartition("@")
    return Parts(scheme, user_info, bool(at), hosts, slash + path, options)


def _decoded(uri: str) -> Iterator[tuple[str, str]]:
    for name, value in options_of(_driver_cut(uri)):
        yield name, value if name.lower() == "authmechanismproperties" else unquote_plus(value)


def _check_user_info(uri: str, parts: Parts) -> None:
    driver = _driver_cut(uri)
    if driver.user_info != parts.user_info and not _at_in_options(driver):
        raise ValueError(_USER_INFO)
    from pymongo.errors import InvalidURI
    from pymongo.uri_parser import parse_userinfo

    if driver.has_user_info:
        try:
            parse_userinfo(driver.user_info)
        except InvalidURI:
            empty = not driver.user_info.partition(":")[0]
            raise ValueError("its user name is empty" if empty else _USER_INFO) from None


def _at_in_options(driver: Parts) -> bool:
    """Whether each `@` behind the hosts may well stand in the value of an option: `appName=me@here`."""
    from pymongo.common import VALIDATORS

    return "@" not in driver.path and all(
        name.lower() in VALIDATORS and "@" not in name for name, _ in options_of(driver)
    )


def _check_options(options: Mapping[str, str]) -> None:
    from pymongo.common import VALIDATORS, validate
    from pymongo.errors import PyMongoError

    for name, value in options.items():
        lower = name.lower()
        if lower not in VALIDATORS:
            continue  # the driver ignores it; it is warned of
        if lower in _FILES:
            tls_files.check_readable(_FILES[lower], value)
            continue
        if not value and lower != "readpreferencetags":
            raise ValueError(f"its option {name} has no value: give it one, or take it out")
        try:
            with warnings.catch_warnings(action="ignore"):
                validate(lower, value)
        except (PyMongoError, ValueError, TypeError) as error:
            raise ValueError(f"its option {name} has a wrong value: {_takes(name, error)}") from None
    _check_mechanism(options)
    if "0" in (value for name, value in options.items() if name.lower() == "w"):
        raise ValueError("its option w is 0: a write without an answer may be lost; take it out, or set majority")


def _takes(name: str, error: Exception) -> str:
    """The driver's reason; of some it only quotes the value."""
    match name.lower():
        case "authmechanism":
            return "it takes SCRAM-SHA-256, SCRAM-SHA-1, MONGODB-X509, MONGODB-AWS, MONGODB-OIDC, GSSAPI or PLAIN"
        case "authmechanismproperties":
            return "it takes NAME:value pairs with commas between them, percent-encoded"
        case "readpreference":
            return "it takes primary, primaryPreferred, secondary, secondaryPreferred or nearest"
        case _:
            return str(error).partition(", not ")[0].rstrip(".").replace(name.lower(), name)


def _check_mechanism(options: Mapping[str, str]) -> None:
    mechanism = next((value for name, value in options.items() if name.lower() == "authmechanism"), "")
    modules, package = _MECHANISM_MODULES.get(mechanism, ((), ""))
    if modules and not any(importlib.util.find_spec(module) for module in modules):
        raise ValueError(
            f"its option authMechanism is {mechanism}, for which a module is missing: install it with "
            f"pip install '{package}', or take another mechanism"
        )


def _check_whole(uri: str) -> None:
    """What holds between the parts, as the driver sees it."""
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    if uri.startswith(_SRV):
        hosts = _driver_cut(uri).hosts
        if not hosts or "," in hosts or ":" in hosts:
            raise ValueError("it takes one host name without a port behind mongodb+srv://")
        if given_options(uri).get("directconnection") == "true":
            raise ValueError("its option directConnection has no place in mongodb+srv://: take it out")
        return  # the rest needs the name service, and is found out when connecting
    try:
        with warnings.catch_warnings(action="ignore"):
            parse_uri(uri, warn=True)
    except (PyMongoError, ValueError) as error:
        raise ValueError(_safe(str(error))) from None


def _safe(text: str) -> str:
    """The driver's reason without the parts of the connection string that it quotes, which may be secret."""
    if text.startswith("Port contains"):
        return f"a port is no number, or {_USER_INFO}"
    for opening in ("Bad database name", "Any '/'"):
        if text.startswith(opening):
            return f"its database name or its hosts cannot be read, or {_USER_INFO}"
    return text.replace('"', "").rstrip(".")


def _warnings(options: Mapping[str, str]) -> Iterator[str]:
    from pymongo.common import VALIDATORS

    behind_secret = False
    for name, value in options.items():
        if name.lower() in VALIDATORS:
            behind_secret |= not is_public(name)
        elif behind_secret:
            # Its name may be the rest of a secret.
            yield "one of its options is none that the driver knows: in the value of an option, & is written as %26"
        else:
            yield f"its option {name} is none that the driver knows, and has no effect"
        if name.lower() == "compressors":
            yield from _compressor_warnings(value)


def _compressor_warnings(value: str) -> Iterator[str]:
    from pymongo.common import validate

    with warnings.catch_warnings(action="ignore"):
        usable = validate("compressors", value)[1]
    for compressor in filter(None, (item.strip() for item in value.split(","))):
        if compressor in usable:
            continue
        if compressor not in _COMPRESSORS:
            yield "its option compressors names one that the driver does not know: it takes zstd, zlib or snappy"
        else:
            yield (
                f"its option compressors names {compressor}, which is not installed here and will not be used: "
                f"install it with pip install 'pymongo[{compressor}]', or take another one"
            )
