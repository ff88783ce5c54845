"""A method that trains in milliseconds and has what a real one has: teacher, queue, dropout, chance."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from kinemask.hardware import HardwareConfig
from kinemask.methods.base import Method, StepOutput
from kinemask.skeleton.batch import RaggedClips
from kinemask.training.batches import BudgetConfig
from kinemask.training.checkpoint import Checkpoints
from kinemask.training.optim import AdamWConfig, SgdConfig
from kinemask.training.schedule import CosineConfig
from kinemask.training.trainer import Trainer

WIDTH = 6
NUM_CLIPS = 7
SCHEDULE = CosineConfig(name="cosine", warmup_ratio=0.2, minimum_ratio=0.1)
ADAMW = AdamWConfig(
    name="adamw",
    lr=0.01,
    schedule=SCHEDULE,
    weight_decay=0.05,
    decay_vectors=False,
    clip_norm=5.0,
    betas=(0.9, 0.95),
)
SGD = SgdConfig(
    name="sgd",
    lr=0.05,
    schedule=SCHEDULE,
    weight_decay=1e-4,
    decay_vectors=True,
    clip_norm=None,
    momentum=0.9,
)


class Toy(Method):
    """Pulls noisy features of a clip's first frame to the teacher's and away from a queue."""

    def __init__(self, seed: int = 0, damage: Callable[[int], float] | None = None) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.student = nn.Sequential(nn.Linear(WIDTH, 4), nn.BatchNorm1d(4), nn.Dropout(0.3))
        self.teacher = nn.Linear(WIDTH, 4).requires_grad_(False)
        self.register_buffer("queue", torch.randn(5, 4))
        self.register_buffer("steps_done", torch.zeros((), dtype=torch.int64))
        self.damage = damage  # of the loss at a step
        self.seen_done: list[float] = []

    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        self.seen_done.append(done)
        frames = clips.joints[clips.offsets].flatten(1)
        noise = torch.randn(frames.shape, generator=generator)
        features = self.student(frames + 0.1 * noise)
        self.keys = self.teacher(frames)
        pull = (features - self.keys).square().mean()
        push = (features @ self.queue.T).square().mean()
        factor = self.damage(int(self.steps_done)) if self.damage else 1.0
        return StepOutput(pull * factor + 0.1 * push, {"pull": pull.detach(), "push": push.detach()})

    def after_optimizer_step(self, step: int) -> None:
        assert step == int(self.steps_done)
        self.steps_done += 1
        self.teacher.weight.lerp_(self.student[0].weight.detach(), 0.1)
        self.queue.copy_(torch.cat([self.keys, self.queue])[:5])


def toy_clips(num_clips: int = NUM_CLIPS) -> RaggedClips:
    generator = torch.Generator().manual_seed(3)
    lengths = torch.arange(num_clips) % 3 + 1
    joints = torch.randn(int(lengths.sum()), 1, WIDTH // 3, 3, generator=generator)
    present = torch.ones(len(joints), 1, dtype=torch.bool)
    return RaggedClips(joints, present, lengths.cumsum(0) - lengths, lengths)


CPU = HardwareConfig(device="cpu", processes=1, threads=1, precision="float32", compile=False)


def toy_trainer(
    *,
    checkpoints: Checkpoints | None = None,
    seed: int = 0,
    optim: AdamWConfig | SgdConfig = ADAMW,
    steps: int = 6,
    log_every_steps: int = 2,
    checkpoint_every_steps: int = 3,
    snapshots: tuple[int, ...] = (),
    log=lambda step, values: None,
    keep=lambda step: None,
    damage: Callable[[int], float] | None = None,
    method: Toy | None = None,
    layer_decay: float = 1.0,
    hardware: HardwareConfig = CPU,
) -> Trainer:
    return Trainer(
        name="toy",
        method=Toy(seed, damage) if method is None else method,
        clips=toy_clips(),
        batch_size=3,
        seed=seed,
        optim=optim,
        budget=BudgetConfig(steps=steps),
        log_every_steps=log_every_steps,
        checkpoint_every_steps=checkpoint_every_steps,
        snapshots=snapshots,
        hardware=hardware,
        log=log,
        keep=keep,
        checkpoints=checkpoints,
        layer_decay=layer_decay,
    )


def same(first: dict, second: dict) -> bool:
    """Two state dicts, bit for bit."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path, key="a" * 64)
