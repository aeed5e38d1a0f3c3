"""What the checks of a dataset found, for people and for programs."""

from dataclasses import asdict, dataclass, field

from captioning.errors import shown

NAMES_SHOWN = 5
"""Of each finding, in the report for people."""


@dataclass
class Finding:
    """Something that was found, and the names of the photos, lines or files that it concerns.

    harms: whether it would make a result wrong or impossible.
    """

    what: str
    harms: bool
    names: list[str]


@dataclass
class Report:
    """All findings, and the numbers of what was checked.

    splits: how many photos each split lists; coverage: how much of dev's captions the training
    captions' vocabulary covers, {} where dev has none.
    """

    photos: int
    captions: int
    splits: dict[str, int]
    coverage: dict[str, float | int]
    findings: list[Finding] = field(default_factory=list)

    @property
    def harms(self) -> bool:
        """Whether something was found that would harm a result."""
        return any(finding.harms for finding in self.findings)

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return {**asdict(self), "harms": self.harms}

    def as_text(self) -> str:
        """Lines for people: what would harm a result first, five names of each."""
        splits = ", ".join(f"{name} {count:,}" for name, count in self.splits.items())
        lines = [f"{self.photos:,} photos, {self.captions:,} captions; listed: {splits}"]
        if self.coverage:
            lines.append(
                "the vocabulary of train covers {words_known:.2%} of dev's {words:,} words; of its "
                "{different:,} different ones {different_unknown:,} are <unk>".format(
                    **self.coverage
                )
            )
        # The sort is stable: within each group the findings keep their order.
        for finding in sorted(self.findings, key=lambda f: not f.harms):
            names = ", ".join(map(shown, finding.names[:NAMES_SHOWN]))
            rest = len(finding.names) - NAMES_SHOWN
            more = f", and {rest:,} more" if rest > 0 else ""
            mark = "HARMS" if finding.harms else "note "
            lines.append(f"{mark}  {finding.what}: {len(finding.names):,} ({names}{more})")
        lines.append(f"{'something' if self.harms else 'nothing'} would harm a result")
        return "\n".join(lines)
