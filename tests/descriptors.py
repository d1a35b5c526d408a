"""What a message type says about itself."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message


def descriptor_of(kind: type[Message]) -> Descriptor:
    """`DESCRIPTOR`, of the one type that Protocol Buffers' functions take; the stubs name that of its C core, too."""
    descriptor = kind.DESCRIPTOR
    assert isinstance(descriptor, Descriptor)
    return descriptor
