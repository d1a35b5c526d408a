"""Text that JSON does not allow but that clients send all the same, made into text that it does.

A string that was cut within a character ends in half of it: as bytes, that is no UTF-8; as an escape, a lone surrogate.
Such a half becomes U+FFFD, as protobuf libraries write it. And some editors and runtimes begin a text with a mark.

Sources: RFC 8259, sections 8.1 and 8.2; the Unicode Standard, section 3.9 ("U+FFFD Substitution").
"""

from __future__ import annotations

import re

MARK = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def repaired(body: bytes) -> bytes:
    """The same body where there is nothing to repair. Takes up to five times the body's memory."""
    body = body.removeprefix(MARK)
    try:
        body.decode()
    except UnicodeDecodeError:
        body = body.decode(errors="replace").encode()
    if b"\\ud" in body or b"\\uD" in body:
        body = _ESCAPE.sub(_without_lone_surrogate, body)
    return body


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if escape["lone"] else escape[0]
