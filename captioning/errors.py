"""The errors that a person at the keyboard can mend, and how a script ends on one."""

import os
import sys
from collections.abc import Callable


class CaptioningError(Exception):
    """Something the user can put right: the message says what was wrong, where, and what to do."""


def run_script(main: Callable[[], int | None]) -> None:
    """Run a script's `main` and leave the process with its exit code.

    A `CaptioningError` ends in one line on standard error and exit code 2, Ctrl-C in 130;
    a reader that closed the pipe (`... | head`) is no error. Other exceptions are defects of
    the program and keep their traceback.
    """
    # TensorFlow's start-up notes would bury the messages that a user can act on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    try:
        code = main() or 0
        sys.stdout.flush()
    except CaptioningError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Python would complain once more when it flushes the closed pipe on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
