"""The app's web server, on this machine alone, until Ctrl-C."""

import signal
import threading
from pathlib import Path

from captioning.app.fragments import STYLE
from captioning.app.guard import Guard
from captioning.app.page import Page
from captioning.app.shared_captioner import SharedCaptioner
from captioning.errors import CaptioningError

HOST = "127.0.0.1"

UPLOAD_LIMIT = "200mb"
"""Larger files aren't even received; smaller ones, if too large, are refused with a sentence."""


def serve(captioner: SharedCaptioner, model: str, port: int, corrections: Path) -> None:
    """Serve the page at 127.0.0.1 until Ctrl-C.

    model: its name, to be shown; corrections: the file that they are appended to. Raises
    `CaptioningError` if the port is taken.
    """
    import gradio as gr
    from starlette.middleware import Middleware

    # Darker and lighter than Gradio's own, for enough contrast to read by (WCAG 2.1, 1.4.3).
    theme = gr.themes.Default(
        primary_hue="blue",
        secondary_hue="blue",
        font=["system-ui", "sans-serif"],  # fonts of the machine: none is fetched
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
    )
    page = Page(captioner, corrections).build(model)
    try:
        page.queue(max_size=100).launch(
            server_name=HOST,
            server_port=port,
            share=False,
            quiet=True,
            ssr_mode=False,
            footer_links=[],
            theme=theme,
            css=STYLE,
            max_file_size=UPLOAD_LIMIT,
            app_kwargs={"middleware": [Middleware(Guard)]},
            prevent_thread_lock=True,
        )
    except OSError:
        raise CaptioningError(f"port {port} is taken; name another one with --port") from None
    # The default for SIGTERM ends the process at once; as Ctrl-C it lets uploads be deleted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"open http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    finally:
        page.close(verbose=False)
