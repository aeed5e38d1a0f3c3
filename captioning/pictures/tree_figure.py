"""A tree of hypotheses as SVG: text alone, so that it needs no drawing package."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from captioning.inference.beam_tree import Branch

LETTER, GAP, ROW, MARGIN = 7.3, 34, 20, 8
"""Pixels of a monospaced letter of 12 pixels, between two words, of a row, and around all."""


@dataclass(frozen=True)
class _Place:
    """Where a word stands: its left end and its base line, in pixels; and how wide it is."""

    x: float
    y: float
    width: float


def draw_tree(tree: Branch, shown: Callable[[int], str], label: str) -> str:
    """The tree as an `<svg>`; classes `best`, `finished` and `given-up` are for a style sheet.

    The line to a word is as thick as the word is likely. shown: a token's word; label: what the
    picture is, for who doesn't see it.
    """
    places = _places(tree, lambda branch: _label(branch, shown))
    best = _path_to_best(tree)
    lines: list[str] = []
    words: list[str] = []
    for branch, place in places.items():
        kind = "best" if branch in best else _kind(branch)
        for child in branch.children:
            kind_below = "best" if child in best else _kind(child)
            line = _line(place, places[child], child.probability, kind_below)
            # Drawn in this order: the best way lies above the others.
            lines.insert(len(lines) if kind_below == "best" else 0, line)
        text = escape(_label(branch, shown))
        words.append(
            f'<text class="{kind}" x="{place.x:.0f}" y="{place.y:.0f}">{text}'
            f"<title>{escape(shown(branch.token))}: {percent(branch.probability)}</title></text>"
        )
    width = max(place.x + place.width for place in places.values()) + MARGIN
    height = max(place.y for place in places.values()) + MARGIN + 4
    return (
        f'<svg role="img" aria-label="{escape(label)}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">\n' + "\n".join(lines + words) + "\n</svg>"
    )


def percent(share: float) -> str:
    """A share for people: "43%"; what is there but rounds to nothing is "<1%", as HTML."""
    return "&lt;1%" if 0 < share < 0.005 else f"{share:.0%}"


def _label(branch: Branch, shown: Callable[[int], str]) -> str:
    return f"{branch.rank}." if branch.rank else shown(branch.token)


def _kind(branch: Branch) -> str:
    """The class of a branch by what comes of it: "finished" where a caption ends below it."""
    if branch.rank or any(_kind(child) == "finished" for child in branch.children):
        return "finished"
    return "given-up"


def _path_to_best(tree: Branch) -> set[Branch]:
    """The branches on the way to the best caption."""
    if tree.rank == 1:
        return {tree}
    for child in tree.children:
        if below := _path_to_best(child):
            return {tree, *below}
    return set()


def _places(tree: Branch, label: Callable[[Branch], str]) -> dict[Branch, _Place]:
    """A place for each branch: a column a word, and a row for each branch that ends."""
    widths: list[float] = []  # of each column, its longest word
    order: list[tuple[Branch, int, int]] = []  # (branch, column, row), parents first
    remaining, rows = [(tree, 0)], 0
    while remaining:
        branch, column = remaining.pop()
        width = LETTER * len(label(branch))
        if column == len(widths):
            widths.append(0.0)
        widths[column] = max(widths[column], width)
        order.append((branch, column, rows))
        # The likeliest child goes straight on, in the row of its parent.
        remaining += [(child, column + 1) for child in reversed(branch.children)]
        rows += not branch.children
    lefts = [MARGIN + sum(widths[:column]) + GAP * column for column in range(len(widths))]
    return {
        branch: _Place(lefts[column], MARGIN + 12 + ROW * row, LETTER * len(label(branch)))
        for branch, column, row in order
    }


def _line(above: _Place, below: _Place, probability: float, kind: str) -> str:
    start, end = above.x + above.width + 3, below.x - 4
    # All bends lie in the gap before the child, so that no line runs through a word.
    bend = max(start, end - GAP + 8)
    middle = (bend + end) / 2
    return (
        f'<path class="{kind}" stroke-width="{0.7 + 4 * probability:.1f}" d="M{start:.0f} '
        f"{above.y - 4:.0f}H{bend:.0f}C{middle:.0f} {above.y - 4:.0f} {middle:.0f} "
        f'{below.y - 4:.0f} {end:.0f} {below.y - 4:.0f}"/>'
    )
