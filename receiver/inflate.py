"""Unpacking of request bodies, in steps of a bounded size and time.

Sources: RFC 1952 (gzip, members one after the other), RFC 1950 (zlib), RFC 1951 (deflate), RFC 9110, section 8.4.1.
"""

from __future__ import annotations

import zlib

from exporter import MalformedPayload

ENCODINGS = ("gzip", "deflate")
_SLICE = 64 * 1024
_MAX_MEMBERS = 1000
"""More are no sign of a real client, and each costs time without a byte of output."""
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Inflater:
    """Unpacks one body."""

    def __init__(self, body: bytes, encoding: str) -> None:
        """`encoding`: one of ENCODINGS."""
        self._body = body
        self._next = 0
        self._encoding = encoding
        self._bits = _GZIP if encoding == "gzip" else _deflate_bits(body)
        self._members = 0
        self._decoder = self._new_decoder()

    def read(self, max_bytes: int) -> bytes:
        """The next bytes, at most `max_bytes` of them and none only at the end.

        Raises:
            MalformedPayload: the body is damaged or cut short.
        """
        output = bytearray()
        while len(output) < max_bytes and (not self._decoder.eof or self._next_member()):
            piece = self._body[self._next : self._next + _SLICE]
            try:
                unpacked = self._decoder.decompress(piece, max_bytes - len(output))
            except zlib.error as error:
                raise MalformedPayload(f"the body is no valid {self._encoding}: {error}") from error
            if not piece and not unpacked and not self._decoder.eof:
                raise MalformedPayload(f"the body is cut short: its {self._encoding} stream has no end")
            output += unpacked
            # At the end of a stream, zlib leaves what follows in both places.
            left = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail
            self._next += len(piece) - len(left)
        return bytes(output)

    def _next_member(self) -> bool:
        """Make ready for what stands behind the end of a stream. False: nothing does."""
        if self._next >= len(self._body):
            return False
        if self._encoding != "gzip":
            raise MalformedPayload(f"the body has {len(self._body) - self._next} bytes behind its deflate stream")
        if self._body[self._next] == 0 and not self._body[self._next :].strip(b"\0"):  # gzip may be padded
            return False
        self._decoder = self._new_decoder()
        return True

    def _new_decoder(self) -> zlib._Decompress:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise MalformedPayload(f"the body is gzip of more than {_MAX_MEMBERS} members")
        return zlib.decompressobj(self._bits)


def _deflate_bits(body: bytes) -> int:
    """HTTP's deflate is zlib's format; some clients send the bare stream all the same."""
    return _ZLIB if body[:1] and body[0] & 0x0F == zlib.DEFLATED else _RAW
