"""The signals that the reference transcoder knows: a new one is one entry more."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.transcode.reference.groups import Walk
from exporter.transcode.reference.logs import Logs
from exporter.transcode.reference.metrics import Metrics
from exporter.transcode.reference.spans import Spans

WALKS: Mapping[str, Walk] = {"traces": Spans(), "logs": Logs(), "metrics": Metrics()}
"""By the signal's name."""
