"""How long a step of the transformer takes on a CPU, and its memory: ours against attention written out.

    make bench
    python tests/benchmarks/transformer_step.py --repeats 3

Three ways with the same weights, clips and draws, on one thread: `plain` writes attention out and keeps
absent persons as rows, `fused` differs in the kernel alone, `kinemask` is our code as it is. Before anything
is timed, `fused` must have the result of `plain`, and `kinemask` that of `plain` for the persons who are
there. CPU seconds, the least of all repeats; the ways take turns, each in a process of its own, whose memory
is the most that its first run adds. Writes transformer_step.csv.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import torch
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from kinemask.encoders.transformer import EncoderBlock, TransformerEncoder  # noqa: E402
from kinemask.methods.base import Domain  # noqa: E402
from kinemask.methods.jmm_tgt import JmmTgt  # noqa: E402
from kinemask.objectives.reconstruction import masked_error  # noqa: E402
from kinemask.params import check  # noqa: E402
from kinemask.skeleton.batch import RaggedClips  # noqa: E402
from kinemask.skeleton.layout import KINECT25  # noqa: E402
from kinemask.training.pretrain import new_encoder  # noqa: E402
from kinemask.training.recipe import Recipe  # noqa: E402
from tests.benchmarks.machine import commit, memory_mib, processor  # noqa: E402
from tests.benchmarks.measure import OURS, Seconds, Way, take_turns  # noqa: E402
from tests.benchmarks.plain_transformer import KeepingAbsent, unfuse  # noqa: E402

PLAIN, FUSED = "plain", "fused"
WAYS = (PLAIN, FUSED, OURS)
PRETRAINING, FEATURES, FINE_TUNING = "pretraining step", "features", "fine-tuning step"
PARTS = (
    (PRETRAINING, "mamp"), (PRETRAINING, "jmm_tgt"), (FEATURES, "mamp"),
    (FINE_TUNING, "mamp"), (FINE_TUNING, "jmm_tgt"),
)  # fmt: skip
_REPORTS = ROOT / "reports/speed"
_SEED = 3
_PERSONS = 2
_CLIP_FRAMES = 150
TOLERANCE = 1e-4  # relative, of a float32 that some thousand sums have gone into


@dataclass(frozen=True)
class Told:
    """What a way says of itself before it is timed."""

    persons: int  # rows that are computed
    peak_mib: float
    result: np.ndarray  # the loss, or features by row
    of_present: np.ndarray  # the same of persons who are there alone


@dataclass(frozen=True)
class Timing:
    """A row of the report. Ratios are of `plain`."""

    part: str
    method: str
    what: str
    clips: int
    persons: int
    cpu_s: float
    median: float
    wall: float
    speed_up: float
    peak_mib: float
    memory_ratio: float  # of `plain` to this
    off_by: float  # from `plain`, relative: of all it computes, or of those who are there


def make_clips(num_clips: int, num_frames: int, seed: int) -> RaggedClips:
    """Smooth random motion; the second person is there in one clip of five."""
    generator = torch.Generator().manual_seed(seed)
    present = torch.ones(num_clips, num_frames, _PERSONS, dtype=torch.bool)
    present[:, :, 1] = (torch.arange(num_clips) % 5 == 0).unsqueeze(1)
    steps = torch.randn(num_clips, num_frames, _PERSONS, 25, 3, generator=generator)
    joints = (steps.cumsum(1) * 0.01 * present[..., None, None]).flatten(0, 1)
    length = torch.full((num_clips,), num_frames)
    return RaggedClips(joints, present.flatten(0, 1), length.cumsum(0) - length, length)


def build(recipe: Recipe, what: str) -> JmmTgt:
    """The method of a recipe the way it is to be run; the topology has learned something."""
    torch.manual_seed(_SEED)
    method = (JmmTgt if what == OURS else KeepingAbsent)(
        config=recipe.method,
        encoder=new_encoder(recipe, layout=KINECT25, num_persons=_PERSONS),
        inputs=recipe.inputs,
        domain=Domain(layout=KINECT25, num_persons=_PERSONS, symmetries=frozenset()),
    )
    for block in method.encoder.blocks:
        assert isinstance(block, EncoderBlock)
        if block.hop_bias is not None:
            torch.nn.init.normal_(block.hop_bias.table)
    if what == PLAIN:
        unfuse(method)
    return method


def draws() -> torch.Generator:
    """The same for every way."""
    return torch.Generator().manual_seed(_SEED)


def pretrain(method: JmmTgt, clips: RaggedClips) -> Tensor:
    """The loss of a step, with its gradients."""
    method.zero_grad(set_to_none=True)
    loss = method.training_step(clips, draws(), 0.0).loss
    loss.backward()
    return loss.detach()


@torch.no_grad()
def pretraining_loss_of(method: JmmTgt, clips: RaggedClips, rows: Tensor) -> Tensor:
    """The loss of some rows alone."""
    masked = method.draw_masked(clips, draws())
    predicted, target = method._predict_tokens(masked)[rows], method.target(masked)[rows]
    return masked_error(predicted, target, masked.hidden[rows].unsqueeze(-1).expand_as(target))


def encode(method: JmmTgt, clips: RaggedClips) -> Tensor:
    """All tokens of whole clips: rows x times x joints x width."""
    assert isinstance(method.encoder, TransformerEncoder)
    return method.encoder(method.draw_masked(clips, draws()).whole).tokens


@torch.no_grad()
def embed(method: JmmTgt, clips: RaggedClips) -> Tensor:
    """Features of every row: the mean over its tokens."""
    return encode(method, clips).mean(dim=(1, 2))


def scores(method: JmmTgt, clips: RaggedClips) -> Tensor:
    """A number for each row, in which every token has a weight."""
    tokens = encode(method, clips)
    weights = torch.randn(tokens.shape[1:], generator=draws())
    return torch.einsum("rpvd,pvd->r", tokens, weights) / tokens[0].numel() ** 0.5


def fine_tune(method: JmmTgt, clips: RaggedClips) -> Tensor:
    """The mean square of the scores, with its gradients."""
    method.zero_grad(set_to_none=True)
    loss = scores(method, clips).square().mean()
    loss.backward()
    return loss.detach()


RUNS: dict[str, Callable[[JmmTgt, RaggedClips], Tensor]] = {
    PRETRAINING: pretrain, FEATURES: embed, FINE_TUNING: fine_tune,
}  # fmt: skip


def result_of(part: str, method: JmmTgt, clips: RaggedClips, rows: Tensor) -> Tensor:
    """What a part would find if there were only some of its rows."""
    if part == PRETRAINING:
        return pretraining_loss_of(method, clips, rows)
    if part == FEATURES:
        return embed(method, clips)[rows]
    with torch.no_grad():
        return scores(method, clips)[rows].square().mean()


def tell(part: str, method: JmmTgt, clips: RaggedClips) -> Told:
    """Run once; then say what was found, and what for those who are there."""
    before = memory_mib("VmRSS")
    result = RUNS[part](method, clips)
    peak_mib = memory_mib("VmHWM") - before
    there = clips.present[clips.offsets].flatten().nonzero().flatten()  # clip x persons + person
    index = method.draw_masked(clips, draws()).rows.index
    rows = torch.isin(index, there).nonzero().flatten()
    of_present = result_of(part, method, clips, rows)
    return Told(len(index), peak_mib, result.numpy(), of_present.numpy())


def way(part: str, name: str, what: str, num_clips: int) -> list[Way]:
    """One way of one part, in the process in which it will be measured."""
    torch.set_num_threads(1)
    method = build(check(ROOT / "params.yaml").methods[name].recipe("paper"), what)
    clips = make_clips(num_clips, _CLIP_FRAMES, _SEED)
    return [Way(tell(part, method, clips), partial(RUNS[part], method, clips))]


def difference(told: Told, plain: Told) -> float:
    """The largest from `plain`, relative to its largest number; of whoever both compute."""
    pairs = [(told.of_present, plain.of_present)]
    if told.persons == plain.persons:
        pairs.append((told.result, plain.result))
    else:
        pairs.append((told.result, plain.of_present))
    return max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in pairs)


def timings(
    part: str, name: str, num_clips: int, measured: Sequence[tuple[Told, list[Seconds]]]
) -> list[Timing]:
    """The rows of a part, in the order of WAYS. Raises AssertionError if the ways find different things."""
    (plain, of_plain), *_ = measured
    rows = []
    for what, (told, taken) in zip(WAYS, measured, strict=True):
        off = difference(told, plain)
        assert off < TOLERANCE, f"{part} of {name}: {what} is off by {off:g} from {PLAIN}"
        cpu_s = min(one.cpu for one in taken)
        rows.append(
            Timing(
                part=part,
                method=name,
                what=what,
                clips=num_clips,
                persons=told.persons,
                cpu_s=cpu_s,
                median=median(one.cpu for one in taken),
                wall=min(one.wall for one in taken),
                speed_up=min(one.cpu for one in of_plain) / cpu_s,
                peak_mib=told.peak_mib,
                memory_ratio=plain.peak_mib / told.peak_mib,
                off_by=off,
            )
        )
    return rows


def main() -> None:
    """Measure all, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reports", type=Path, default=_REPORTS, help="folder for the figures")
    asked = parser.parse_args()
    asked.reports.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    for part, name in PARTS:
        makers = [partial(way, part, name, what, asked.clips) for what in WAYS]
        found = timings(part, name, asked.clips, take_turns(makers, asked.repeats))
        rows += [asdict(timing) for timing in found]
        _say(
            pd.DataFrame(rows[-len(WAYS) :]).to_string(index=False, float_format=lambda value: f"{value:.3g}")
        )
        table = pd.DataFrame(rows).assign(
            threads=1, processor=processor(), torch=torch.__version__, commit=commit()
        )
        table.to_csv(asked.reports / "transformer_step.csv", index=False, float_format="%.3g")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
