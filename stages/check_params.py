"""Check the whole of params.yaml before anything runs, and settle what the stages read."""

import sys

from kinemask.params import check
from kinemask.plan import write_plan
from kinemask.stage import run_stage


def main() -> None:
    write_plan(check(tell=lambda line: sys.stderr.write(f"{line}\n")))


if __name__ == "__main__":
    run_stage(main)
