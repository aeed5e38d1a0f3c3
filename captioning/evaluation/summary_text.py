"""The summary of an evaluation as text for a terminal."""

from typing import Any

from captioning.evaluation.bias import GENDERS
from captioning.evaluation.photos import first_names


def summary_text(summary: dict[str, Any]) -> str:
    """The scores with their intervals and what belongs to them. summary: as `scores.json`."""
    lines = [
        f"{summary['split']}, {photos_in_words(summary['photos'])}, {summary['decoder']}; "
        f"{summary['tokenisation']}",
        summary["signature"],
    ]
    if summary.get("missing photos"):
        lines.append(
            f"FEWER THAN THE SPLIT HAS: {photos_in_words(summary['missing photos'])} missing, "
            f"without vector or caption ({first_names(summary['missing'])})"
        )
    against = summary.get("against")
    if against:
        lines.append(
            f"{'':10} {'score':>6}   95% interval     minus {against['model']} "
            f"({against['decoder']}), paired"
        )
    differences = against["difference"] if against else {}
    # The other model may lack a score, METEOR without Java, say.
    lines += [
        _score_line(name, row, differences.get(name)) for name, row in summary["scores"].items()
    ]
    lines += [f"{name:10} {reason}" for name, reason in left_out(summary).items()]
    lines += _truth_lines(summary["truth"])
    for what, value in summary["language"].items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if value is None:
            # A share of 0 would be a claim; None is what is left when there is nothing to compare.
            shown = "not known, the model's training captions are not here"
        lines.append(f"{what}: {shown}")
    lines += _word_lines(summary)
    return "\n".join(lines)


def photos_in_words(count: int) -> str:
    """A number of photos: "1 photo", "1,000 photos"."""
    return f"{count:,} photo{'' if count == 1 else 's'}"


def left_out(summary: dict[str, Any]) -> dict[str, str]:
    """{score: why it was left out}, from the keys "no METEOR" and so on of a summary."""
    return {
        key.removeprefix("no "): reason for key, reason in summary.items() if key.startswith("no ")
    }


def _truth_lines(truth: dict[str, Any]) -> list[str]:
    """What captions say against what references say, a line a kind."""
    return [
        f"{kind}: {rates['said']:,} said; "
        + "; ".join(
            f"{name} {row['value']:.1f}% ({row['interval'][0]:.1f} to {row['interval'][1]:.1f})"
            for name, row in rates.items()
            if name != "said"
        )
        for kind, rates in truth.items()
    ]


def _word_lines(summary: dict[str, Any]) -> list[str]:
    """Rare words that are ever said, and genders and looks that references don't agree on."""
    lines = []
    rows = summary["rare words"]
    if rows:
        lines.append(
            "words of the references that are ever said, by occurrences in training: "
            + ", ".join(f"{r['training occurrences']}: {r['said']} of {r['words']}" for r in rows)
        )
    if summary["bias"]:
        lines.append(
            "said of people, and where the references don't agree: "
            + ", ".join(f"{r['word']} {r['said']} ({r['not agreed']})" for r in summary["bias"])
        )
        after = sum(row["neutral"] for row in summary["bias"] if row["word"] in GENDERS)
        before = sum(row["said"] for row in summary["bias"] if row["word"] in GENDERS)
        lines.append(f"genders said: {before:,}; with --neutral: {after:,}")
    return lines


def _score_line(name: str, row: dict[str, Any], difference: dict[str, Any] | None) -> str:
    low, high = row["interval"]
    line = f"{name:10} {row['value']:6.1f}   {low:5.1f} to {high:5.1f}"
    if difference:
        low, high = difference["interval"]
        line += f"   {difference['value']:+6.1f} ({low:+.1f} to {high:+.1f})"
    return line
