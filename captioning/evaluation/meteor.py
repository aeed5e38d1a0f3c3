"""METEOR 1.5, whose scorer is a Java program that pycocoevalcap runs.

Denkowski & Lavie 2014, https://aclanthology.org/W14-3348.
"""

import subprocess
from contextlib import suppress

from captioning.errors import CaptioningError


def has_java() -> bool:
    """Whether METEOR can be computed here.

    Java is started to find out: some systems have a `java` that only says where to get one.
    """
    try:
        return not subprocess.run(["java", "-version"], capture_output=True, check=False).returncode
    except OSError:
        return False


def compute_meteor(
    references: dict[str, list[str]], hypotheses: dict[str, list[str]]
) -> tuple[float, list[float]]:
    """METEOR, 0 to 1, of all captions together and of each.

    Raises `CaptioningError` when there is no Java or its program fails.
    """
    if not has_java():
        raise CaptioningError(
            "METEOR needs Java (version 8 or later) on the path; --no-meteor skips METEOR"
        )
    from pycocoevalcap.meteor.meteor import Meteor

    scorer = Meteor()
    try:
        return scorer.compute_score(references, hypotheses)
    except (OSError, ValueError) as error:  # the program ended, or its answer is no number
        raise CaptioningError(
            f"METEOR's Java program failed ({error}); --no-meteor skips METEOR"
        ) from None
    finally:
        # What the scorer's own destructor does would wait for ever after an interruption, which
        # leaves its lock taken, and would leave the pipes open.
        if scorer.lock.locked():
            scorer.lock.release()
        scorer.meteor_p.kill()
        scorer.meteor_p.wait()
        for pipe in (scorer.meteor_p.stdin, scorer.meteor_p.stdout, scorer.meteor_p.stderr):
            with suppress(OSError):
                pipe.close()
