"""What stands before the app's page: only this machine asks, and no file leaves.

Pictures and tables stand inside the page as `data:` addresses, so no folder need be open.
"""

from typing import Any

HOSTS = ("127.0.0.1", "localhost")


CLOSED = ("/file=", "/file/", "/proxy=", "/stream/")
"""Gradio's ways to files and to other servers."""


POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'; form-action 'none'"
)
"""The browser fetches nothing from anywhere else, whatever a library's page asks for."""


class Guard:
    """ASGI middleware: refuses other hosts' names and files, and tells browsers the policy.

    A page of another site that names this machine (DNS rebinding) still sends its own host.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        """Answer 403, or let the request pass and add the policy to what comes back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        if host not in HOSTS or any(part in scope["path"] for part in CLOSED):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"not served here\n"})
            return

        async def send_with_policy(message: dict) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", POLICY.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self._app(scope, receive, send_with_policy)
