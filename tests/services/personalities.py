"""How services differ from MongoDB, as far as an insert or the making of collections can meet it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Error(NamedTuple):
    """What is answered in place of a result."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Personality:
    """One service."""

    name: str
    hello: Mapping[str, Any]
    """Fields of the answer to `hello` beside those that all have. `{address}` in a text is the server's own."""
    duplicate: str
    """The text of error 11000. It has no `keyPattern`. `{namespace}` and `{collection}` are filled in."""
    retryable_writes: Error
    """The answer to a command with a transaction number."""
    no_options: Mapping[str, Error] = field(default_factory=dict)
    """By `command.option`: options that a command, or an index that it makes, may not have."""
    no_commands: Mapping[str, Error] = field(default_factory=dict)
    """Commands that there are not."""
    duplicate_fails_command: bool = False
    """A duplicate key is the error of the whole insert, which ends there."""
    stops_at_first_error: bool = False
    """An insert ends at the first document that is refused, whatever `ordered` says."""
    documents_a_second: int | None = None
    """More than that are refused with 16500, each for itself."""


def _unknown_command(name: str) -> dict[str, Error]:
    return {name: Error(59, f"no such command: '{name}'")}


def _not_implemented(command: str, *options: str) -> dict[str, Error]:
    return {
        f"{command}.{option}": Error(238, f'{command}: support for field "{option}" is not implemented yet')
        for option in options
    }


FERRET_DB = Personality(
    name="ferretdb-1.24",
    hello={"maxWireVersion": 21},
    duplicate="E11000 duplicate key error collection: {namespace}",
    retryable_writes=Error(20, "Transaction numbers are only allowed on a replica set member or mongos"),
    no_options={
        **_not_implemented("createIndexes", "sparse", "expireAfterSeconds", "partialFilterExpression"),
        **_not_implemented("create", "timeseries", "clusteredIndex", "capped"),
    },
    no_commands=_unknown_command("collMod"),
)

DOCUMENT_DB = Personality(
    name="documentdb",
    hello={
        "maxWireVersion": 13,
        "setName": "rs0",
        "setVersion": 1,
        "hosts": ["{address}"],
        "primary": "{address}",
        "me": "{address}",
        "logicalSessionTimeoutMinutes": 30,
    },
    duplicate="E11000 duplicate key error collection: {collection} Failed _id or unique key constraint",
    retryable_writes=Error(301, "Retryable writes are not supported"),
    no_options={
        "create.storageEngine": Error(303, "Feature not supported: storageEngine"),
        "create.timeseries": Error(303, "Feature not supported: timeseries"),
        "collMod.index": Error(303, "Feature not supported: collMod"),
    },
)

COSMOS_DB = Personality(
    name="cosmos",
    hello={
        "maxWireVersion": 13,
        "setName": "globaldb",
        "setVersion": 1,
        "hosts": ["{address}"],
        "primary": "{address}",
        "me": "{address}",
        "logicalSessionTimeoutMinutes": 30,
    },
    duplicate="E11000 duplicate key error collection: {namespace}. Failed _id or unique index constraint.",
    retryable_writes=Error(
        2, "Retryable writes are not supported. Please disable retryable writes by specifying retrywrites=false"
    ),
    no_options={
        "create.storageEngine": Error(72, "The option storageEngine is not supported"),
        "create.timeseries": Error(72, "The option timeseries is not supported"),
        "createIndexes.sparse": Error(67, "Sparse indexes are not supported"),
        "createIndexes.expireAfterSeconds": Error(
            67, "The 'expireAfterSeconds' option is supported on '_ts' field only."
        ),
    },
    no_commands={"collMod": Error(59, "Command collMod not supported prior to authentication.")},
    duplicate_fails_command=True,
)

PERSONALITIES = (FERRET_DB, DOCUMENT_DB, COSMOS_DB)
