import sys

import pytest

from kinemask.errors import KinemaskError
from kinemask.stage import run_stage


def refuse(benchmark, method):
    raise KinemaskError(f"{benchmark} has no {method}")


def test_our_own_errors_end_with_their_message_alone(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stages/pretrain.py", "irds-xsub", "mtmc"])
    with pytest.raises(SystemExit, match=r"^ERROR: irds-xsub has no mtmc$"):
        run_stage(refuse)


def test_too_few_or_too_many_words_show_the_usage(monkeypatch):
    for words in (["irds-xsub"], ["irds-xsub", "mtmc", "0"]):
        monkeypatch.setattr(sys, "argv", ["stages/pretrain.py", *words])
        with pytest.raises(SystemExit, match=r"usage: python stages/pretrain.* <benchmark> <method>$"):
            run_stage(refuse)


def test_a_bug_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["stages/tables.py"])
    with pytest.raises(ZeroDivisionError):
        run_stage(lambda: 1 / 0)


def test_an_interrupt_says_how_to_go_on(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["stages/tables.py"])
    with pytest.raises(SystemExit, match="goes on from the last checkpoint"):
        run_stage(interrupted)
