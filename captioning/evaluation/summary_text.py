"""The summary of an evaluation as text for a terminal."""

from typing import Any

from captioning.evaluation.photos import first_names


def summary_text(summary: dict[str, Any]) -> str:
    """The scores with their intervals and what belongs to them. summary: as `scores.json`."""
    lines = [
        f"{summary['split']}, {summary['photos']:,} photos, {summary['decoder']}; "
        f"{summary['tokenisation']}",
    ]
    if summary.get("missing photos"):
        lines.append(
            f"FEWER THAN THE SPLIT HAS: {summary['missing photos']:,} photos missing, without "
            f"vector or caption ({first_names(summary['missing'])})"
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
    if "METEOR" not in summary["scores"]:
        lines.append(f"METEOR     {summary['no METEOR']}")
    for what, value in summary["language"].items():
        shown = ", ".join(value) if isinstance(value, list) else value
        if value is None:
            # A share of 0 would be a claim; None is what is left when there is nothing to compare.
            shown = "not known, the model's training captions are not here"
        lines.append(f"{what}: {shown}")
    return "\n".join(lines)


def _score_line(name: str, row: dict[str, Any], difference: dict[str, Any] | None) -> str:
    low, high = row["interval"]
    line = f"{name:10} {row['value']:6.1f}   {low:5.1f} to {high:5.1f}"
    if difference:
        low, high = difference["interval"]
        line += f"   {difference['value']:+6.1f} ({low:+.1f} to {high:+.1f})"
    return line
