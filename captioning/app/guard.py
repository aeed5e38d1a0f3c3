"""The app's protection: only this machine is answered, and no file is served.

Pictures and tables are inside of the page as `data:` URLs, so no folder has to be open.
"""

from typing import Any

ALLOWED_HOSTS = ("127.0.0.1", "localhost")

BLOCKED_PATHS = ("/file=", "/file/", "/proxy=", "/stream/")
"""Gradio's routes to files and to other servers."""

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'; form-action 'none'"
)
"""The browser fetches nothing from anywhere else, whatever Gradio's page asks for.

https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CSP; Gradio's own scripts are inline.
"""


class Guard:
    """ASGI middleware: refuses other host names and all files, and sends the security policy.

    A page of another site whose name was made to point to this machine (DNS rebinding) still
    sends that site's name as the host.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        """Answer 403, or let the request pass and add the policy to the response."""
        # Starting and stopping the server are no requests; Gradio uses no websockets.
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        if host not in ALLOWED_HOSTS or any(part in scope["path"] for part in BLOCKED_PATHS):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"not served here\n"})
            return

        async def send_with_policy(message: dict) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self._app(scope, receive, send_with_policy)
