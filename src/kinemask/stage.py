"""How a stage starts and ends: words of the command line in, one line and a status out."""

import inspect
import sys
from collections.abc import Callable

from kinemask.errors import KinemaskError


def run_stage(main: Callable[..., None]) -> None:
    """Call `main` with the words of the command line, one for each of its parameters.

    A KinemaskError ends the process with its message and status 1; anything else is a bug, with a traceback.
    """
    words, wanted = sys.argv[1:], list(inspect.signature(main).parameters)
    if len(words) != len(wanted):
        names = " ".join(f"<{name}>" for name in wanted)
        sys.exit(f"ERROR: usage: python {sys.argv[0]} {names}".rstrip())
    try:
        main(*words)
    except KinemaskError as error:
        sys.exit(f"ERROR: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted: `dvc repro` goes on from the last checkpoint")
