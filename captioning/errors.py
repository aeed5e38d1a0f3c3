"""The errors that a person at the keyboard can mend, and how a script starts and ends."""

import logging
import os
import sys
import tempfile
from collections.abc import Callable


class CaptioningError(Exception):
    """Something the user can put right: the message says what was wrong, where, and what to do."""


def shown(text: str) -> str:
    """The text on one line of a terminal: what ends lines or steers it is written as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def run_script(main: Callable[[], int | None], after_stop: str = "") -> None:
    """Run a script's `main` and leave the process with its exit code.

    `after_stop` tells who stops it by Ctrl-C how to go on. A `CaptioningError` ends in one line
    on standard error and exit code 2, Ctrl-C in 130; a reader that closed the pipe
    (`... | head`) is no error. Other exceptions are defects and keep their traceback.
    """
    try:
        code = main() or 0
        sys.stdout.flush()
    except CaptioningError as error:
        print(f"error: {shown(str(error))}", file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("\nstopped" + (f"; {after_stop}" if after_stop else ""), file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Python would complain once more when it flushes the closed pipe on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


def import_keras() -> None:
    """Import Keras without the backend's start-up notes on standard error.

    TensorFlow writes some of them from C++ before its own log level counts; they would bury
    the messages that a user can act on. When the import fails, everything is shown.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    # Keras imports these where they are installed, to draw galleries and to show tables in
    # notebooks: half a second. None in their place makes it go without.
    spared = {"matplotlib", "IPython"} - sys.modules.keys()
    sys.modules.update(dict.fromkeys(spared))
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            import keras

            keras.ops.zeros(1)  # the backend writes the rest when it first computes
            # In a notebook TensorFlow's import sets its own level, and writes into the cells.
            logging.getLogger("tensorflow").setLevel(logging.ERROR)
        except BaseException:
            notes.seek(0)
            os.write(kept, notes.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            for name in spared:
                del sys.modules[name]
