"""Whether what MongoDB acknowledges can still be lost.

A replica set acknowledges for good once a majority of its members has a write: with fewer, a partition or an election
is enough to undo it, without any crash. And without the journal, a crash is enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is known of the servers behind a connection string."""

    replica_set: bool
    sharded: bool
    voting: int = 1
    """Members that elect a primary, arbiters included."""
    data_bearing: int = 1

    @property
    def majority(self) -> int:
        """How many members have to acknowledge (MongoDB manual, "Calculating Majority for Write Concern")."""
        return min(self.voting // 2 + 1, self.data_bearing)


def deployment(hello: Mapping[str, Any]) -> Deployment:
    """From the answer to `hello`."""
    data_bearing = len(hello.get("hosts", ())) + len(hello.get("passives", ()))
    return Deployment(
        replica_set="setName" in hello,
        sharded=hello.get("msg") == "isdbgrid",
        voting=data_bearing + len(hello.get("arbiters", ())),
        data_bearing=data_bearing,
    )


def weakness(write_concern: Mapping[str, Any], servers: Deployment) -> str:
    """What may be lost with this write concern, as a sentence for people; empty when nothing may.

    `write_concern`: as it goes with commands (`w`, `j`).
    """
    w, journal = write_concern.get("w", "majority"), write_concern.get("j", True) or write_concern.get("fsync", False)
    reasons = []
    if isinstance(w, int) and servers.sharded:
        reasons.append(f"w={w} in its URI may be fewer members of a shard than its majority: {_PARTITION}")
    elif isinstance(w, int) and servers.replica_set and w < servers.majority:
        reasons.append(
            f"w={w} in its URI is below the majority ({servers.majority} of {servers.voting} members): {_PARTITION}"
        )
    if not journal:
        reasons.append("journal=false in its URI: a crash of MongoDB loses records that were acknowledged")
    return "; ".join(reasons) + "; take the option out, for w=majority and the journal" if reasons else ""


_PARTITION = "a partition or an election loses records that were acknowledged, without any crash"
