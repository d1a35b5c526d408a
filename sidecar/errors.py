"""What a user can cause, and is told in one line."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend. The text says what failed and what to do; no traceback is shown."""

    exit_code = 1


class UsageError(UserError):
    """The command or the settings are wrong."""

    exit_code = 2


NO_URI = (
    "MONGODB_URI: is not set, takes a connection string, as in mongodb://user:password@host:27017; "
    "`otlp-mongo serve --embedded` needs none"
)
