"""What became of a run's photos, counted, and said in one line at the end."""

from dataclasses import dataclass


@dataclass
class Tally:
    """How many photos got a caption, and how many did not, each photo counted once.

    captioned: with a text; decorative: with an empty one; had: had a caption already; done: an
    earlier run wrote theirs; failed: could not be read, or not be written; cut: of the captioned,
    those whose caption was cut to be short enough.
    """

    captioned: int = 0
    decorative: int = 0
    had: int = 0
    done: int = 0
    failed: int = 0
    cut: int = 0

    def line(self, places: list[str], dry_run: bool = False) -> str:
        """One line: "6 captioned, 1 skipped \u2192 captions.csv".

        places: what was written, files and folders; none for standard output. What the skipped
        photos are is said where they aren't all of one kind.
        """
        counts = [f"{self.captioned:,} captioned"]
        if self.decorative:
            counts.append(f"{self.decorative:,} decorative")
        skipped = {
            "had a caption": self.had,
            "done before": self.done,
            "failed": self.failed,
        }
        kinds = [f"{count:,} {kind}" for kind, count in skipped.items() if count]
        if kinds:
            total = f"{sum(skipped.values()):,} skipped"
            counts.append(f"{total} ({', '.join(kinds)})" if len(kinds) > 1 else total)
        said = ", ".join(counts)
        if dry_run:
            return f"dry run: {said}; nothing was written"
        return f"{said} \u2192 {' and '.join(places)}" if places else said
