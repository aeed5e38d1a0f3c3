"""METEOR 1.5, whose scorer is a Java program that pycocoevalcap runs.

Denkowski & Lavie 2014, https://aclanthology.org/W14-3348.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from captioning.errors import CaptioningError

_NEUTRAL = (
    "-Duser.language=en -Duser.country=US -Duser.language.format=en -Duser.country.format=US "
    "-Dfile.encoding=UTF-8"
)
"""On a German, Portuguese or Turkish system Java reads and writes 0,5, on an Arabic one other
digits; METEOR's program expects 0.5, and words in UTF-8."""

_OPTIONS = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
"""Where Java finds more options. The second overrules what the first and the command line say; not
every Java reads it."""


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
        raise CaptioningError("not computed: it needs Java (version 8 or later) on the path")
    from pycocoevalcap.meteor.meteor import Meteor

    with _neutral_java():
        scorer = Meteor()
    try:
        return scorer.compute_score(references, hypotheses)
    except (OSError, ValueError) as error:  # the program ended, or its answer is no number
        raise CaptioningError(f"its Java program failed ({error})") from None
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


@contextmanager
def _neutral_java() -> Iterator[None]:
    """Java programs that are started inside have English numbers and UTF-8, whatever the system."""
    before = {name: os.environ.get(name) for name in _OPTIONS}
    for name, value in before.items():
        os.environ[name] = f"{value} {_NEUTRAL}" if value else _NEUTRAL
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
