"""What making collections and indexes came to."""

from __future__ import annotations

from dataclasses import dataclass, field

from pymongo.errors import OperationFailure

from exporter.mongodb import failures
from exporter.mongodb.error_codes import Meaning, meaning

_UNAUTHORIZED = 13
_REFUSES_US = frozenset({11, 18, 334, 391})
"""UserNotFound, AuthenticationFailed, MechanismUnavailable, ReauthenticationRequired: no command will do."""
_NOT_OFFERED = frozenset({59, 72, 115, 238, 303, 40415})
"""CommandNotFound, InvalidOptions, CommandNotSupported, NotImplemented, DocumentDB's own, IDLUnknownField."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What `Collections.ensure` did, and what it could not do."""

    made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is otherwise than somebody may expect, though nothing failed."""
    problems: list[str] = field(default_factory=list)
    """Each names what could not be made, why, and what to do. Records are stored all the same."""
    passing: list[str] = field(default_factory=list)
    """Those of the problems that may pass by themselves."""

    def failed(self, what: str, error: OperationFailure, todo: str = "") -> None:
        """Note down what could not be made for an error that a server answered. `todo`: what to do about it.

        Raises:
            OperationFailure: `error`, when the server refuses us and not what we asked for.
        """
        if error.code in _REFUSES_US:
            raise error
        if error.code == _UNAUTHORIZED:
            todo = "grant the user the role readWrite on the database"
        problem = f"{what}: {reason(error)}" + (f"; {todo}" if todo else "")
        self.problems.append(problem)
        if not todo and meaning(error.code or 0) is Meaning.PASSING:
            self.passing.append(problem)

    def add(self, other: Changes) -> None:
        """Append what another part came to."""
        self.made.extend(other.made)
        self.notes.extend(other.notes)
        self.problems.extend(other.problems)
        self.passing.extend(other.passing)


def reason(error: OperationFailure) -> str:
    """The server's own, without the command that it quotes."""
    return f"{failures.shorten(str(error))} (MongoDB error {error.code or 0})"


def is_not_offered(error: OperationFailure) -> bool:
    """Whether a server does not have what was asked for, so that asking again is of no use."""
    return error.code in _NOT_OFFERED or (error.code != _UNAUTHORIZED and failures.says_unknown(str(error)))
