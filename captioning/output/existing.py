"""Photos that have a caption already: what becomes of it, and of the new one."""

EXISTING = ("skip", "replace", "append", "prepend")
"""What may be done: keep the old one, put the new one in its place, behind it, or before it."""


def joined(old: str | None, new: str, existing: str) -> str:
    """The caption to write where a photo has the caption `old`.

    existing: one of `EXISTING` but "skip". What was joined already isn't joined again, so that a
    run that was stopped can be repeated.
    """
    old = (old or "").strip()
    if existing == "replace" or not old:
        return new
    first, second = (old, new) if existing == "append" else (new, old)
    is_there = old.endswith(new) if existing == "append" else old.startswith(new)
    if not new or is_there:
        return old
    if first.endswith((".", "!", "?", ",", ";", ":", "…", "。")):
        return f"{first} {second}"
    # A capital begins a sentence; anything else goes on, as the captions that models train on.
    return f"{first}. {second}" if second[0].isupper() else f"{first}, {second}"
