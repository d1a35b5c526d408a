"""The native converter: JSON text to protobuf bytes in compiled code, without a Python object per value.

Importing it fails where it was not built (`receiver.otlp_json.convert` decides what then). `tokens` and `numbers` read
JSON, `skip` what nobody asks for; `messages` walks over objects by the tables of `schema`, `scalars` writes what is in
them; `state` holds the two stretches of memory that all of it works on. It takes what is right and common: all else is
for the reference to judge and to word.
"""

from receiver.otlp_json.native._converter import NativeConverter

__all__ = ["NativeConverter"]
