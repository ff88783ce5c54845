"""Check the whole of params.yaml before anything runs, and settle what the stages of each method read."""

import sys
from pathlib import Path

from kinemask.params import check, write_plan
from kinemask.stage import run_stage
from kinemask.storage import write_text


def main() -> None:
    # The same bytes for the same values: who depends on them is made stale by a change of theirs alone.
    write_plan(check(tell=lambda line: sys.stderr.write(f"{line}\n")))
    write_text(Path("data/params.checked"), "params.yaml is valid\n")


if __name__ == "__main__":
    run_stage(main)
