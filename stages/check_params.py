"""Check the whole of params.yaml before anything runs, and settle what each stage depends on."""

import sys
from pathlib import Path

from kinemask.params import check
from kinemask.plan import write_plan
from kinemask.stage import run_stage


def main() -> None:
    params = check(tell=lambda line: sys.stderr.write(f"{line}\n"))
    write_plan(params, scripts=sorted(Path(__file__).parent.glob("*.py")))


if __name__ == "__main__":
    run_stage(main)
