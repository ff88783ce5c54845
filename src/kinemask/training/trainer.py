"""The training loop: it takes steps, logs, saves and resumes, and leaves everything special to the method."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinemask.encoders.attention import compile_blocks
from kinemask.encoders.precision import set_precision
from kinemask.errors import KinemaskError
from kinemask.hardware import HardwareConfig
from kinemask.methods.base import Method, StepOutput
from kinemask.progress import progress
from kinemask.seeding import derive_seed
from kinemask.skeleton.batch import RaggedClips
from kinemask.training.batches import BatchOrder, BudgetConfig, num_steps
from kinemask.training.checkpoint import CheckpointError, Checkpoints, TrainingState
from kinemask.training.optim import AdamWConfig, SgdConfig, build_optimizer
from kinemask.training.schedule import rate_share

Log = Callable[[int, dict[str, float]], None]
Keep = Callable[[int], None]


class TrainingDiverged(KinemaskError):
    """A term is no longer a finite number: the message names the seed, the steps and all terms."""


@dataclass(frozen=True)
class TrainingResult:
    """What a finished training did. `history` has a row for every `log`: "step" and the values."""

    history: list[dict[str, float]]
    steps: int
    epochs: float  # clips seen, as a multiple of the clips there are

    def summary(self) -> dict[str, float]:
        """The values of the last row, with the steps and epochs of the whole."""
        last = self.history[-1] if self.history else {}
        values = {name: value for name, value in last.items() if name != "step"}
        return {"steps": float(self.steps), "epochs": self.epochs, **values}


class Trainer:
    """Trains `method` in place on `clips`, which lie on the device of the method.

    A step's batch and random numbers depend on `seed` and the step alone, so a resumed run cannot differ.
    What a method carries from step to step must be a parameter or a persistent buffer. `log` gets the number
    of steps done and the means since its last call; `keep` gets each number of steps done that is among
    `snapshots`, before there is a checkpoint of it. After a resume, steps since the checkpoint come again.
    With a `layer_decay` below 1 the layers of its encoder learn less than what is behind them.
    """

    def __init__(
        self,
        *,
        name: str,
        method: Method,
        clips: RaggedClips,
        batch_size: int,
        seed: int,
        optim: SgdConfig | AdamWConfig,
        budget: BudgetConfig,
        log_every_steps: int,
        checkpoint_every_steps: int,
        snapshots: Collection[int],
        hardware: HardwareConfig,
        log: Log,
        keep: Keep,
        checkpoints: Checkpoints | None,
        layer_decay: float = 1.0,
    ) -> None:
        set_precision(method, getattr(torch, hardware.precision))
        if hardware.compile:
            compile_blocks(method)
        self.name = name
        self.method = method
        self.clips = clips
        self.seed = seed
        self.optim = optim
        self.log_every_steps = log_every_steps
        self.checkpoint_every_steps = checkpoint_every_steps
        self.snapshots = snapshots
        self.log = log
        self.keep = keep
        self.checkpoints = checkpoints
        self.order = BatchOrder(seed=seed, num_clips=len(clips), batch_size=batch_size)
        self.num_steps = num_steps(budget, num_clips=len(clips), batch_size=batch_size)
        layers = method.encoder.layer_groups() if layer_decay != 1 else ()
        self.optimizer = build_optimizer(method.parameters(), optim, layers=layers, layer_decay=layer_decay)
        self.generator = torch.Generator(clips.joints.device)
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.totals: dict[str, Tensor] = {}
        self.num_counted = 0

    def run(self) -> TrainingResult:
        """Train from the last checkpoint, or from the start, to the end of the budget.

        Raises TrainingDiverged, or CheckpointError if a checkpoint cannot be read or written.
        """
        self._resume()
        self.method.train()
        if self.step == 0:
            self._snapshot()
        remaining = range(self.step, self.num_steps)
        for _ in progress(remaining, name=self.name, unit="step", total=self.num_steps, done=self.step):
            self.update()
            self._snapshot()
            is_last = self.step == self.num_steps
            if is_last or self.step % self.log_every_steps == 0:
                self._report()
            if is_last or self.step % self.checkpoint_every_steps == 0:
                self._save()
        clips_seen = self.num_steps * self.order.batch_size
        return TrainingResult(self.history, self.num_steps, clips_seen / len(self.clips))

    def update(self) -> StepOutput:
        """One step."""
        rate = self._rate(self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate_share"]
        self.generator.manual_seed(derive_seed(self.seed, "step", self.step))
        # Layers such as nn.Dropout take no generator: this is what they draw from.
        torch.manual_seed(derive_seed(self.seed, "layers", self.step))
        batch = self.clips.select(self.order.at(self.step).to(self.clips.offsets.device))
        out = self.method.training_step(batch, self.generator, self.step / self.num_steps)
        self.optimizer.zero_grad(set_to_none=True)
        out.loss.backward()  # type: ignore[no-untyped-call]
        # Without a limit this measures the norm and changes nothing.
        norm = nn.utils.clip_grad_norm_(self.method.parameters(), self.optim.clip_norm or math.inf)
        self.optimizer.step()
        self.method.after_optimizer_step(self.step)
        self._count(out, norm)
        self.step += 1
        return out

    def _rate(self, step: int) -> float:
        return self.optim.lr * rate_share(self.optim.schedule, step=step, num_steps=self.num_steps)

    def _count(self, out: StepOutput, gradient_norm: Float[Tensor, ""]) -> None:
        # The norm is a term because it tells of a spoilt last update, which no later loss would.
        terms = {"loss": out.loss, **out.metrics, "gradient_norm": gradient_norm}
        for name, value in terms.items():
            value = value.detach().double()
            self.totals[name] = self.totals[name] + value if name in self.totals else value
        self.num_counted += 1

    def _means(self) -> dict[str, float]:
        """Means of the terms since the last row. Raises TrainingDiverged if one is not finite."""
        means = {name: total.item() / self.num_counted for name, total in self.totals.items()}
        if not all(math.isfinite(mean) for mean in means.values()):
            terms = ", ".join(f"{name} {mean:.6g}" for name, mean in means.items())
            first = self.step - self.num_counted + 1
            raise TrainingDiverged(
                f"{self.name} (seed {self.seed}) diverged in steps {first} to {self.step}: {terms}"
            )
        return means

    def _report(self) -> None:
        values = self._means() | {"lr": self._rate(self.step - 1)}
        self.log(self.step, values)
        self.history.append({"step": float(self.step), **values})
        self.totals = {}
        self.num_counted = 0

    def _snapshot(self) -> None:
        if self.step in self.snapshots:
            self._means()  # nothing that has diverged may be kept
            self.keep(self.step)

    def _save(self) -> None:
        self._means()  # nothing that has diverged may become a checkpoint
        if self.checkpoints is not None:
            state = TrainingState(self.step, self.history, self.totals, self.num_counted)
            self.checkpoints.save(method=self.method, optimizer=self.optimizer, state=state)

    def _resume(self) -> None:
        if self.checkpoints is None:
            return
        state = self.checkpoints.load(method=self.method, optimizer=self.optimizer)
        if state is None:
            return
        if state.step > self.num_steps:
            raise CheckpointError(
                f"{self.checkpoints.path} is at step {state.step} of {self.num_steps}: delete "
                f"{self.checkpoints.folder} to start this run afresh"
            )
        self.step = state.step
        self.history = state.history
        self.totals = {name: total.to(self.clips.joints.device) for name, total in state.totals.items()}
        self.num_counted = state.num_counted
