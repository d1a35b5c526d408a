"""An HTTP/2 client that keeps to no rule of gRPC's: it opens calls, and sends what it likes of their messages."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from contextlib import suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event, StreamEnded, StreamReset
from h2.exceptions import ProtocolError

_CHUNK = 64 * 1024


def framed(message: bytes, *, packed: bool = False) -> bytes:
    """A message as gRPC frames it."""
    return struct.pack(">BI", packed, len(message)) + message


class Connection:
    """One connection with the calls that were begun on it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._unsent: dict[int, tuple[memoryview, bool]] = {}  # shared by calls, which may be many
        self.events: list[Event] = []

    @classmethod
    async def open(cls, endpoint: str) -> Connection:
        """Connect to `host:port`."""
        host, port = endpoint.rsplit(":", 1)
        return cls(*await asyncio.open_connection(host, int(port)))

    def call(
        self, path: str, frames: bytes, *, end: bool = True, encoding: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> int:
        """Begin a call. `end`: half-close once `frames` are sent."""
        stream = self._h2.get_next_available_stream_id()
        packing = [("grpc-encoding", encoding)] if encoding else []
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")]
        self._h2.send_headers(
            stream, [*pseudo, ("te", "trailers"), ("content-type", "application/grpc"), *packing, *headers]
        )
        self._unsent[stream] = (memoryview(frames), end)
        return stream

    async def run(self, seconds: float) -> None:
        """Send what flow control allows, and take what comes, until the other side hangs up or the time is over."""
        with suppress(TimeoutError, ConnectionError, ProtocolError):
            async with asyncio.timeout(seconds):
                while True:
                    self._send()
                    await self._writer.drain()
                    data = await self._reader.read(_CHUNK)
                    if not data:
                        return
                    self._take(data)

    async def until_ended(self, stream: int, seconds: float = 10.0) -> list[Event]:
        """The events of a call, once it has ended."""
        async with asyncio.timeout(seconds):
            while not any(isinstance(event, StreamEnded | StreamReset) for event in self.of(stream)):
                self._send()
                await self._writer.drain()
                data = await self._reader.read(_CHUNK)
                assert data, "the server hung up"
                self._take(data)
        return self.of(stream)

    def of(self, stream: int) -> list[Event]:
        """What came for a call."""
        return [event for event in self.events if getattr(event, "stream_id", None) == stream]

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    def _take(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, StreamEnded | StreamReset):
                self._unsent.pop(event.stream_id or 0, None)
            elif isinstance(event, ConnectionTerminated):
                self._unsent.clear()

    def _send(self) -> None:
        for stream, (frames, end) in list(self._unsent.items()):
            while True:
                window = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
                last = len(frames) <= window
                if window <= 0 or (not frames and not end):
                    break
                self._h2.send_data(stream, bytes(frames[:window]), end_stream=last and end)
                frames = frames[window:]
                self._unsent[stream] = (frames, end)
                if last:
                    del self._unsent[stream]
                    break
        self._writer.write(self._h2.data_to_send())
