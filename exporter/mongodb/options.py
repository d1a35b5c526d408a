"""The options of an insert command, without those that a service does not know."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import structlog
from pymongo.errors import OperationFailure
from pymongo.write_concern import WriteConcern

from exporter.mongodb import failures
from exporter.mongodb.config import milliseconds

_LOST = {
    "ordered": "a command ends at the first document that is refused, and is continued behind it",
    "writeConcern": "what it acknowledges is as durable as it makes it by itself",
    "maxTimeMS": "an insert that takes too long is given up here, but not there",
}
"""What is different without them."""

_log = structlog.get_logger(__name__)


class InsertOptions:
    """Those that the service takes, as far as is known."""

    def __init__(self, write_concern: WriteConcern, timeout: timedelta) -> None:
        """`timeout`: for the server to answer one command."""
        self.taken: dict[str, Any] = {
            "ordered": False,
            "writeConcern": write_concern.document,
            "maxTimeMS": milliseconds(timeout),
        }

    def drop(self, error: OperationFailure) -> bool:
        """Leave out the option that a command failed for, from now on. False when it did not fail for one."""
        message = failures.shorten(str(error))
        if not failures.says_unknown(message):
            return False
        for option in self.taken:
            # As a word of its own: `writeConcern.w` or `maxTimeMS: -1` are about a value.
            if re.search(rf"(?<![\w$]){option}(?![\w:]|\.\w)", message):
                del self.taken[option]
                _log.warning(
                    "this service does not know an option of insert: going on without it",
                    option=option,
                    then=_LOST[option],
                    reason=message,
                )
                return True
        return False
