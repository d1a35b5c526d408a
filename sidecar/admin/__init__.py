"""HTTP for operators: alive, ready, metrics, a status page."""

from sidecar.admin.server import AdminServer

__all__ = ["AdminServer"]
