"""Fine-tuning with few labels: encoder and head see shares of the labels, those clips that `few` sees."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kinemask.evaluation.few import LabelsConfig, percent_text
from kinemask.evaluation.finetune import Finetuning, LabelShare
from kinemask.evaluation.finetune_config import SemiConfig, SemiUsed
from kinemask.evaluation.frozen import Probed
from kinemask.skeleton.benchmark import BENCHMARKS, read_benchmark
from kinemask.training.trainer import Log


@dataclass(frozen=True)
class SemiTuning:
    """The fine-tunings of a method on a benchmark, one a share of the labels; `run` makes one seed."""

    tunings: tuple[Finetuning, ...]
    used: SemiUsed

    def run(self, seed: int, log: Log) -> list[Probed]:
        """Fine-tune with each share in turn, or go on where that stopped; see `Finetuning.run`.

        What is logged has the share in its name, such as `loss labels=10%`: the steps of shares are others.
        """
        probed = []
        for one in self.tunings:
            assert one.few is not None, "every one of them sees a share"
            label = f"labels={percent_text(one.few.share)}%"
            found = one.run(seed, _with_label(log, label))
            history = [{"step": row["step"], **_named(row, label)} for row in found.history]
            probed.append(replace(found, history=history))
        return probed


def with_shares(whole: Finetuning, config: SemiConfig, labels: LabelsConfig) -> SemiTuning:
    """The fine-tuning with all labels as one with each share of them, with what changes then."""
    changes = config.changes(read_benchmark(BENCHMARKS / whole.benchmark).size)
    whole = replace(whole, finetune=changes.changed(whole.finetune))
    return SemiTuning(
        tuple(replace(whole, few=LabelShare(share, labels.draw)) for share in config.shares),
        SemiUsed(**dict(whole.used), shares=config.shares, draw=labels.draw),
    )


def _with_label(log: Log, label: str) -> Log:
    return lambda step, values: log(step, _named(values, label))


def _named(values: Mapping[str, float], label: str) -> dict[str, float]:
    return {f"{name} {label}": value for name, value in values.items() if name != "step"}
