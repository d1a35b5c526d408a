"""Cross-origin requests from browsers (Fetch standard, "HTTP CORS protocol")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from aiohttp import web

_MAX_AGE_SECONDS = 7200
"""The longest that browsers keep a preflight's answer for."""


class CorsPolicy:
    """Which origins may send telemetry; none by default.

    Credentials are allowed, too, though nothing looks at them: `navigator.sendBeacon`, with which SDKs send when a page
    is left, always sends them, and without leave the browser blocks it.
    """

    def __init__(self, allowed_origins: Sequence[str] = ()) -> None:
        """`allowed_origins`: `https://shop.example`, with wildcards `https://*.example`, or `*` for all."""
        self._patterns = tuple(origin.lower().rstrip("/") for origin in allowed_origins)

    def headers(self, request: web.BaseRequest) -> Mapping[str, str]:
        """What lets the page that asked read the answer."""
        if not self._patterns:
            return {}
        origin = request.headers.get("Origin", "")
        if not any(fnmatchcase(origin.lower(), pattern) for pattern in self._patterns if origin):
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            # Never `*`, which browsers do not take where there are credentials.
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": "Retry-After",
        }

    def is_preflight(self, request: web.BaseRequest) -> bool:
        """Whether a browser asks if it may send, and gets an answer to that."""
        return bool(self._patterns) and _asks(request)

    def hint(self, request: web.BaseRequest) -> str:
        """What to add to the refusal of a browser's question."""
        if not _asks(request):
            return ""
        return ": for browsers to send, set OTLP_MONGO_CORS_ORIGINS to the origins of their pages"

    def preflight(self, request: web.BaseRequest) -> web.Response:
        """The answer: for an origin that is not allowed it lacks what browsers look for."""
        headers = dict(self.headers(request))
        if "Access-Control-Allow-Origin" in headers:
            headers["Access-Control-Allow-Methods"] = "POST"
            headers["Access-Control-Allow-Headers"] = request.headers.get(
                "Access-Control-Request-Headers", "content-type"
            )
            headers["Access-Control-Max-Age"] = str(_MAX_AGE_SECONDS)
        return web.Response(status=204, headers=headers)


def _asks(request: web.BaseRequest) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
