"""Single records out of a payload, each an export request of its own: what dead letters keep."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from exporter.signals import Signal
from exporter.transcode.reference.messages import Proto, with_byte_strings


def extract(signal: Signal, payload: bytes, indexes: Collection[int]) -> Iterator[bytes]:
    """The records with these indexes, in ascending order, each as an export request with its resource and scope."""
    request = with_byte_strings(signal.request).FromString(payload)
    for index, chain in enumerate(_chains(request, signal.record_path)):
        if index in indexes:
            yield _single(chain, signal.record_path)


def _chains(message: Proto, path: Sequence[str]) -> Iterator[tuple[Proto, ...]]:
    """For each record below a message: the messages that lead to it, from this one to the record."""
    if not path:
        yield (message,)
        return
    for child in _children(message, path[0]):
        for chain in _chains(child, path[1:]):
            yield (message, *chain)


def _children(message: Proto, step: str) -> Sequence[Proto]:
    if step in message.DESCRIPTOR.oneofs_by_name:
        member = message.WhichOneof(step)
        return [getattr(message, member)] if member else []
    children: Sequence[Proto] = getattr(message, step)
    return children


def _single(chain: Sequence[Proto], path: Sequence[str]) -> bytes:
    """The first message of a chain, with no other record than the chain's last."""
    single = chain[-1]
    for message, step in zip(reversed(chain[:-1]), reversed(path), strict=True):
        single = _shell(message, step, single)
    encoded: bytes = single.SerializeToString()
    return encoded


def _shell(message: Proto, step: str, child: Proto) -> Proto:
    """A copy of a message that holds one child only where the path goes on."""
    member = message.WhichOneof(step) if step in message.DESCRIPTOR.oneofs_by_name else step
    shell = type(message)()
    for field, value in message.ListFields():
        if field.name == member:
            continue
        if field.is_repeated:
            getattr(shell, field.name).extend(value)
        elif field.message_type:
            getattr(shell, field.name).CopyFrom(value)
        else:
            setattr(shell, field.name, value)
    if member == step:
        getattr(shell, step).append(child)
    else:
        getattr(shell, member).CopyFrom(child)
    return shell
