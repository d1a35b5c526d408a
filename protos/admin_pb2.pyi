import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("destinations", "buffer")
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    BUFFER_FIELD_NUMBER: _ClassVar[int]
    destinations: _containers.RepeatedCompositeFieldContainer[Destination]
    buffer: BufferFiles
    def __init__(self, destinations: _Optional[_Iterable[_Union[Destination, _Mapping]]] = ..., buffer: _Optional[_Union[BufferFiles, _Mapping]] = ...) -> None: ...

class BufferFiles(_message.Message):
    __slots__ = ("disk_bytes", "max_bytes", "damaged_files", "damaged_bytes", "unreadable")
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_FILES_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    disk_bytes: int
    max_bytes: int
    damaged_files: int
    damaged_bytes: int
    unreadable: _containers.RepeatedCompositeFieldContainer[UnreadableFile]
    def __init__(self, disk_bytes: _Optional[int] = ..., max_bytes: _Optional[int] = ..., damaged_files: _Optional[int] = ..., damaged_bytes: _Optional[int] = ..., unreadable: _Optional[_Iterable[_Union[UnreadableFile, _Mapping]]] = ...) -> None: ...

class UnreadableFile(_message.Message):
    __slots__ = ("name", "reason", "since")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Destination(_message.Message):
    __slots__ = ("name", "configured", "healthy", "reason", "replay_paused", "backlog", "lanes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REPLAY_PAUSED_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    name: str
    configured: bool
    healthy: bool
    reason: str
    replay_paused: bool
    backlog: Backlog
    lanes: _containers.RepeatedCompositeFieldContainer[Lane]
    def __init__(self, name: _Optional[str] = ..., configured: _Optional[bool] = ..., healthy: _Optional[bool] = ..., reason: _Optional[str] = ..., replay_paused: _Optional[bool] = ..., backlog: _Optional[_Union[Backlog, _Mapping]] = ..., lanes: _Optional[_Iterable[_Union[Lane, _Mapping]]] = ...) -> None: ...

class Lane(_message.Message):
    __slots__ = ("signal", "healthy", "reason", "set_aside", "set_aside_reason")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_REASON_FIELD_NUMBER: _ClassVar[int]
    signal: str
    healthy: bool
    reason: str
    set_aside: int
    set_aside_reason: str
    def __init__(self, signal: _Optional[str] = ..., healthy: _Optional[bool] = ..., reason: _Optional[str] = ..., set_aside: _Optional[int] = ..., set_aside_reason: _Optional[str] = ...) -> None: ...

class Backlog(_message.Message):
    __slots__ = ("batches", "records", "bytes", "oldest")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    batches: int
    records: int
    bytes: int
    oldest: _timestamp_pb2.Timestamp
    def __init__(self, batches: _Optional[int] = ..., records: _Optional[int] = ..., bytes: _Optional[int] = ..., oldest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DrainRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PauseReplayRequest(_message.Message):
    __slots__ = ("destination",)
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    destination: str
    def __init__(self, destination: _Optional[str] = ...) -> None: ...

class ResumeReplayRequest(_message.Message):
    __slots__ = ("destination",)
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    destination: str
    def __init__(self, destination: _Optional[str] = ...) -> None: ...

class VerifyBufferRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class VerifyBufferResponse(_message.Message):
    __slots__ = ("batches", "records", "damage", "untouched", "unreadable")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    DAMAGE_FIELD_NUMBER: _ClassVar[int]
    UNTOUCHED_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    batches: int
    records: int
    damage: _containers.RepeatedScalarFieldContainer[str]
    untouched: _containers.RepeatedScalarFieldContainer[str]
    unreadable: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, batches: _Optional[int] = ..., records: _Optional[int] = ..., damage: _Optional[_Iterable[str]] = ..., untouched: _Optional[_Iterable[str]] = ..., unreadable: _Optional[_Iterable[str]] = ...) -> None: ...

class ExportBufferRequest(_message.Message):
    __slots__ = ("destination",)
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    destination: str
    def __init__(self, destination: _Optional[str] = ...) -> None: ...

class BufferedBatch(_message.Message):
    __slots__ = ("signal", "records", "received", "payload")
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    signal: str
    records: int
    received: _timestamp_pb2.Timestamp
    payload: bytes
    def __init__(self, signal: _Optional[str] = ..., records: _Optional[int] = ..., received: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class DropBufferRequest(_message.Message):
    __slots__ = ("destination",)
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    destination: str
    def __init__(self, destination: _Optional[str] = ...) -> None: ...

class DropBufferResponse(_message.Message):
    __slots__ = ("batches", "records")
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    batches: int
    records: int
    def __init__(self, batches: _Optional[int] = ..., records: _Optional[int] = ...) -> None: ...

class ListDamagedRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListDamagedResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[DamagedFile]
    def __init__(self, files: _Optional[_Iterable[_Union[DamagedFile, _Mapping]]] = ...) -> None: ...

class DamagedFile(_message.Message):
    __slots__ = ("name", "bytes", "set_aside", "restored", "contents")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    CONTENTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    bytes: int
    set_aside: _timestamp_pb2.Timestamp
    restored: bool
    contents: DamagedContents
    def __init__(self, name: _Optional[str] = ..., bytes: _Optional[int] = ..., set_aside: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., restored: _Optional[bool] = ..., contents: _Optional[_Union[DamagedContents, _Mapping]] = ...) -> None: ...

class DamagedContents(_message.Message):
    __slots__ = ("readable", "restored", "lost", "problem")
    READABLE_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    readable: int
    restored: int
    lost: int
    problem: str
    def __init__(self, readable: _Optional[int] = ..., restored: _Optional[int] = ..., lost: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class RestoreDamagedRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class RestoreDamagedResponse(_message.Message):
    __slots__ = ("files",)
    class FilesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: DamagedContents
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[DamagedContents, _Mapping]] = ...) -> None: ...
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.MessageMap[str, DamagedContents]
    def __init__(self, files: _Optional[_Mapping[str, DamagedContents]] = ...) -> None: ...

class PurgeDamagedRequest(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class PurgeDamagedResponse(_message.Message):
    __slots__ = ("files", "bytes")
    FILES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    files: int
    bytes: int
    def __init__(self, files: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("id", "destination", "signal", "records", "time", "code", "reason", "payload")
    ID_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    id: str
    destination: str
    signal: str
    records: int
    time: _timestamp_pb2.Timestamp
    code: int
    reason: str
    payload: bytes
    def __init__(self, id: _Optional[str] = ..., destination: _Optional[str] = ..., signal: _Optional[str] = ..., records: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ..., payload: _Optional[bytes] = ...) -> None: ...

class ListDeadLettersRequest(_message.Message):
    __slots__ = ("destination", "limit")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    destination: str
    limit: int
    def __init__(self, destination: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class GetDeadLetterRequest(_message.Message):
    __slots__ = ("destination", "id")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    destination: str
    id: str
    def __init__(self, destination: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class ReplayDeadLettersRequest(_message.Message):
    __slots__ = ("destination", "ids")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    destination: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, destination: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ReplayDeadLettersResponse(_message.Message):
    __slots__ = ("stored", "refused")
    STORED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    stored: int
    refused: int
    def __init__(self, stored: _Optional[int] = ..., refused: _Optional[int] = ...) -> None: ...

class PurgeDeadLettersRequest(_message.Message):
    __slots__ = ("destination", "ids")
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    destination: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, destination: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class PurgeDeadLettersResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...
