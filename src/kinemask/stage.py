"""How a stage starts and ends: words of the command line in, one line and a status out."""

import sys
from collections.abc import Callable

from kinemask.errors import KinemaskError


def run_stage(main: Callable[..., None]) -> None:
    """Call `main` with the words of the command line.

    A KinemaskError ends the process with its message and status 1; anything else is a bug, with a traceback.
    """
    try:
        main(*sys.argv[1:])
    except KinemaskError as error:
        sys.exit(f"ERROR: {error}")
