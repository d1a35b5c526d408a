"""Message classes that read OTLP as it comes, invalid UTF-8 included."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

Proto = Any
"""A message of these classes: the stubs of OTLP's own would say `str` where these hold `bytes`."""


def with_byte_strings(message: type[Message]) -> type[Proto]:
    """The same message with each `string` in it, at any depth, as `bytes`.

    Both look the same on the wire, but protobuf refuses a message whole for one `string` that is not UTF-8
    (Protobuf language guide, proto3, Scalar Value Types), and senders in C++ do send such strings.
    """
    pool = DescriptorPool()
    _add(pool, message.DESCRIPTOR.file, set())
    return GetMessageClass(pool.FindMessageTypeByName(message.DESCRIPTOR.full_name))


def _add(pool: DescriptorPool, file: Any, added: set[str]) -> None:
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    del proto.service[:]
    for message in proto.message_type:
        _turn_strings_to_bytes(message)
    pool.Add(proto)


def _turn_strings_to_bytes(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING:
            field.type = FieldDescriptorProto.TYPE_BYTES
    for nested in message.nested_type:
        _turn_strings_to_bytes(nested)
