"""Check the whole of params.yaml before anything runs, and say so in data/params.checked."""

from pathlib import Path

from kinemask.params import check
from kinemask.stage import run_stage
from kinemask.storage import write_text


def main() -> None:
    check()
    # Always the same text: who depends on it runs after the check, and is not made stale by it.
    write_text(Path("data/params.checked"), "params.yaml is valid\n")


if __name__ == "__main__":
    run_stage(main)
