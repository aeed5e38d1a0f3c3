"""Captions for photos: an encoder turns a photo into vectors, a decoder turns them into sentences.

from captioning import load
for caption in load("models/flickr8k").caption(["photo.jpg"]):
    print(caption.caption)
"""

from typing import Any

from captioning.errors import CaptioningError

__all__ = ["Caption", "Captioner", "CaptioningError", "load"]


def __getattr__(name: str) -> Any:
    # Imported at first use: `--help` of a script must not wait for numpy and Pillow.
    if name in ("Caption", "Captioner"):
        from captioning.inference import captioner

        return getattr(captioner, name)
    if name == "load":
        from captioning.inference.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
