"""A summary of an evaluation as Markdown, and its place in a model's README."""

from pathlib import Path
from typing import Any

from captioning.errors import CaptioningError
from captioning.evaluation.summary_text import photos_in_words
from captioning.evaluation.truth import RATES
from captioning.files.text import read_text, write_text

BEGIN, END = "<!-- scores: written by evaluate.py --card -->", "<!-- end of scores -->"
"""The lines of a card between which the scores stand."""


def check_card(path: Path) -> None:
    """Raise `CaptioningError` for a file that has no place for the scores."""
    _around(path)


def write_card(path: Path, summary: dict[str, Any]) -> None:
    """Put the summary between the two lines `BEGIN` and `END` of a Markdown file.

    A new file gets the two lines and nothing else. Raises as `check_card`, and when the file can't
    be written.
    """
    before, after = _around(path)
    write_text(path, f"{before}{BEGIN}\n{card_text(summary)}\n{END}\n{after}")


def _around(path: Path) -> tuple[str, str]:
    """What stands before and after the place of the scores; nothing for a new file."""
    if not path.exists():
        return "", ""
    text = read_text(path, "the model card")
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not begin or not end:
        raise CaptioningError(
            f"{path} has no place for the scores; where they are to stand, write these two lines:\n"
            f"{BEGIN}\n{END}"
        )
    return before, after


def card_text(summary: dict[str, Any]) -> str:
    """The scores, the truth, rare words and genders as Markdown tables. summary: `scores.json`."""
    parts = [
        f"{photos_in_words(summary['photos'])} of {summary['split']}, {summary['decoder']}:\n"
        f"`{summary['signature']}`",
        _table(
            ["", "value", "95%"],
            [[name, _one(row["value"]), _ends(row)] for name, row in summary["scores"].items()],
        ),
    ]
    if summary["truth"]:
        parts += [
            "What captions name against what any reference names, in percent, by word lists (what "
            "they can't see: a colour bound to the wrong thing, who does what to whom):",
            _table(["", "said", *RATES], [_truth_row(*item) for item in summary["truth"].items()]),
        ]
    if summary["rare words"]:
        words = summary["language"]["vocabulary"]
        rows = [
            [
                row["training occurrences"],
                str(row["words"]),
                str(row["said"]),
                _share(row["said"], row["words"]),
            ]
            for row in summary["rare words"]
        ]
        parts += [
            f"Different words said: {words}. Of the references' words, by how often the training "
            "captions have them, those that any caption says:",
            _table(["occurrences in training", "words", "ever said", "share"], rows),
        ]
    if summary["bias"]:
        rows = [
            [
                row["word"],
                str(row["said"]),
                f"{row['not agreed']} ({_share(row['not agreed'], row['said'])})",
                str(row["not said"]),
                str(row["neutral"]),
            ]
            for row in summary["bias"]
        ]
        parts += [
            "Captions that say a gender or how somebody looks, where no more than half of the "
            "references agree, where none does, and what `--neutral` leaves:",
            _table(["", "said", "not agreed on", "no one says it", "with `--neutral`"], rows),
        ]
    return "\n\n".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _truth_row(kind: str, rates: dict[str, Any]) -> list[str]:
    shown = [
        f"{_one(rates[rate]['value'])} ({_ends(rates[rate])})" if rate in rates else "–"
        for rate in RATES
    ]
    return [kind, f"{rates['said']:,}", *shown]


def _one(value: float) -> str:
    return f"{value:.1f}"


def _ends(row: dict[str, Any]) -> str:
    return " to ".join(map(_one, row["interval"]))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%"
