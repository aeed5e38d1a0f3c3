"""The desk's protection: who is answered, what other sites' pages can't do, how much is taken."""

import hmac
from collections.abc import Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; media-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The browser runs and fetches what this server sends, nothing else, whatever a file's name says.

https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP
"""

HEADERS = [
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self)"),
]

MOST_BYTES = {"/desk/photos": 250_000_000, "/api/caption": 250_000_000}
"""Of a request with photos."""

FEW_BYTES = 1_000_000
"""Of any other request."""

COOKIE = "desk"


class Guard:
    """ASGI middleware: answers this machine alone, or those who know the token.

    A page of another site whose name was made to point to this machine (DNS rebinding) still
    sends that site's name as the host; other requests of another site's page tell its origin, or
    that they come from one (Sec-Fetch-Site). With a token any host name is answered: the
    browser gives its cookie to no other name.
    """

    def __init__(self, app: Any, token: str | None = None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        """Refuse the request, or let it pass and add the policy to the response."""
        if scope["type"] != "http":  # starting and stopping; the desk has no websockets
            await self._app(scope, receive, send)
            return
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        # Each header once, except cookies of some proxies: the last one counts.
        if (refusal := self._refusal(scope, headers)) is not None:
            await _answer(send, *refusal)
            return
        if self._token is not None and not self._knows_token(headers):
            if self._given_token(scope):
                secure = "; Secure" if scope.get("scheme") == "https" else ""
                cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/{secure}"
                await _answer(send, 303, "", [("location", "/"), ("set-cookie", cookie)])
            else:
                why = "a token is wanted: open /?token=..., or send Authorization: Bearer ..."
                await _answer(send, 401, why, [("www-authenticate", "Bearer")])
            return

        async def send_with_policy(message: dict) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_policy)

    def _refusal(self, scope: dict, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Status and sentence for a request that is refused whoever sends it, or None."""
        host = headers.get("host", "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if self._token is None and name not in LOCAL_HOSTS:
            return 403, "not served here"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "not for pages of other sites"
        opens_page = scope["method"] == "GET" and scope["path"] == "/"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opens_page:
            return 403, "not for pages of other sites"
        return _too_large(scope["path"], headers)

    def _knows_token(self, headers: Mapping[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._is_token(given.strip()):
            return True
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        return cookie is not None and self._is_token(cookie.value)

    def _given_token(self, scope: dict) -> bool:
        """Whether the page is opened with the token in its address."""
        query = parse_qs(scope["query_string"].decode("latin-1"))
        return scope["path"] == "/" and any(map(self._is_token, query.get("token", [])))

    def _is_token(self, given: str) -> bool:
        # In the same time, however much of it is right.
        return hmac.compare_digest(given.encode(), (self._token or "").encode())


def _too_large(path: str, headers: Mapping[str, str]) -> tuple[int, str] | None:
    """The refusal of a body that is larger than such a request may be, before it is received."""
    if "transfer-encoding" in headers:
        return 411, "send Content-Length"
    length = headers.get("content-length", "0")
    most = MOST_BYTES.get(path, FEW_BYTES)
    if length.isdecimal() and int(length) > most:
        return 413, f"{int(length):,} bytes are more than {most:,}"
    return None


async def _answer(
    send: Any, status: int, text: str, headers: list[tuple[str, str]] | None = None
) -> None:
    body = f"{text}\n".encode()
    own = [(key.encode(), value.encode()) for key, value in headers or []]
    own += [(b"content-type", b"text/plain; charset=utf-8")]
    start = {"type": "http.response.start", "status": status, "headers": [*own, *HEADERS]}
    await send(start)
    await send({"type": "http.response.body", "body": body})
