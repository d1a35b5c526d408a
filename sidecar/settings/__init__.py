"""What a user sets: the names, types, bounds and defaults, and where the values come from.

The environment comes first, then `.env` in the working directory, then the default. A secret may also be given as
the path of a file: `MONGODB_URI_FILE` for `MONGODB_URI`.
"""

from sidecar.settings.load import LoadedSettings, SettingsError, load
from sidecar.settings.model import Settings
from sidecar.settings.uri import redact

__all__ = ["LoadedSettings", "Settings", "SettingsError", "load", "redact"]
