"""How far an error reaches by MongoDB's code of it: the whole server, or what was to be written only.

The codes' names and meanings: see `error_codes`.
"""

from __future__ import annotations

from exporter.errors import Scope

_SERVER: frozenset[int] = frozenset(
    {
        # No writable primary, or one that is going.
        *(91, 189, 10058, 10107, 11600, 11602, 13435, 13436, 133, 216),
        # The network between a mongos and its shards.
        *(6, 7, 89, 9001, 145, 149, 317, 384, 407),
        # Who we are is not accepted, whatever we write.
        *(11, 18, 31, 214, 323, 334, 391),
        # Nothing can be written.
        *(14031, 264, 371, 402, 433),
        # A write concern that cannot be met.
        *(64, 79, 100),
    }
)


def scope_of(code: int) -> Scope:
    """Of an error that a server answered. What is not known to be the server's is the collection's.

    That is the safe side: each collection finds out by itself, and a batch that is alone with it steps aside.
    """
    return Scope.SERVER if code in _SERVER else Scope.COLLECTION
