"""Pretraining of one seed: data in, a trained encoder out."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from kinemask.encoders import EncoderConfig, build_encoder
from kinemask.encoders.base import Encoder
from kinemask.hardware import HardwareConfig
from kinemask.looks import ClipLook, HopBiasLook, Looks, looks_path, write_looks
from kinemask.methods import LEARN_FROM_LABELS, METHODS, SIMULATE
from kinemask.methods.attention_look import add_attention, look_at_hop_bias
from kinemask.methods.base import Domain, Method
from kinemask.methods.supervised import LabelledClips
from kinemask.methods.twins_config import TwinsConfig
from kinemask.run_key import code_digest
from kinemask.section import Section
from kinemask.seeding import derive_seed
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.benchmark import BENCHMARKS, open_data, read_benchmark, read_split
from kinemask.skeleton.inputs import InputConfig, centre
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.packed import SIMULATED, DatasetInfo, PackedClips, open_packed
from kinemask.skeleton.resident import load_clips, to_device
from kinemask.skeleton.rest_pose import RESTS, Offsets, median_bones
from kinemask.storage import whole_folder, write_whole, writing
from kinemask.training.batches import num_steps
from kinemask.training.checkpoint import CHECKPOINTS, open_checkpoints
from kinemask.training.recipe import Preset, Recipe, RecipeError, TrainingConfig
from kinemask.training.simulated import add_clips
from kinemask.training.trainer import Log, Trainer, TrainingResult

PRETRAINED = Path("results/pretrain")
NUM_LOOKS = 3  # clips of which is shown what a method does with them

Weights = dict[str, Tensor]


class EncoderAbout(Section):
    """What an encoder's file says of itself: what it is, and what it was fed."""

    encoder: EncoderConfig
    inputs: InputConfig
    layout: Layout
    persons: int


@dataclass(frozen=True)
class Pretrained:
    """The encoder's weights and how they came about. `snapshots`: steps done -> the weights then."""

    weights: Weights
    result: TrainingResult
    snapshots: Mapping[int, Weights]
    looks: tuple[ClipLook, ...] = ()
    hop_bias: HopBiasLook | None = None


@dataclass(frozen=True)
class Pretraining:
    """Everything that defines the runs of a benchmark and method; `run` makes one seed of it."""

    name: str  # shown beside the bar
    recipe: Recipe
    clips: RaggedClips  # those to train on, and no others; simulated ones stand last
    clip_names: Sequence[str]
    labels: Int[Tensor, " N"] | None  # of these clips; None unless the method is in LEARN_FROM_LABELS
    domain: Domain
    data_sha256: str
    rows_sha256: str  # of which clips of the data are trained on
    simulated_sha256: str | None  # of the simulated clips
    hardware: HardwareConfig
    checkpoints: Path = CHECKPOINTS

    def run(self, seed: int, log: Log) -> Pretrained:
        """Train, or go on from the last checkpoint of exactly this run.

        Raises TrainingDiverged, or CheckpointError if a checkpoint cannot be read or written.
        """
        recipe, device = self.recipe, self.hardware.device
        torch.manual_seed(derive_seed(seed, "weights"))
        encoder = new_encoder(recipe, layout=self.domain.layout, num_persons=self.domain.num_persons)
        training = recipe.training
        if training is None:
            return Pretrained(encoder.state_dict(), TrainingResult([], steps=0, epochs=0.0), {})
        build = METHODS[recipe.method.name]
        method = build(recipe.method, encoder, recipe.inputs, self.domain).to(device)
        clips = to_device(self.clips, device)
        if self.labels is not None:
            clips = LabelledClips.of(clips, self.labels)
        with open_checkpoints(self._identity(seed), root=self.checkpoints) as checkpoints:
            result = Trainer(
                name=f"{self.name} seed {seed}",
                method=method,
                clips=clips,
                batch_size=training.batch_size,
                seed=seed,
                optim=training.optimizer,
                budget=training.budget,
                log_every_steps=training.log_every_steps,
                checkpoint_every_steps=training.checkpoint_every_steps,
                snapshots=training.snapshots,
                hardware=self.hardware,
                log=log,
                keep=lambda step: checkpoints.keep(step, encoder.state_dict()),
                checkpoints=checkpoints,
            ).run()
            snapshots = {step: checkpoints.kept(step) for step in training.snapshots}
        weights = {name: value.cpu() for name, value in encoder.state_dict().items()}
        hop_bias = look_at_hop_bias(encoder, self.domain.layout)
        return Pretrained(weights, result, snapshots, self._look(method, clips, seed), hop_bias)

    def _look(self, method: Method, clips: RaggedClips, seed: int) -> tuple[ClipLook, ...]:
        """What the trained method does with some clips, spread over all."""
        shown = sorted({number * len(clips) // NUM_LOOKS for number in range(NUM_LOOKS)})
        generator = torch.Generator(clips.joints.device).manual_seed(derive_seed(seed, "looks"))
        some = clips.select(torch.tensor(shown, device=clips.offsets.device))
        names = [self.clip_names[clip] for clip in shown]
        return add_attention(
            method.look(some, names, generator),
            method.encoder,
            some,
            names,
            inputs=self.recipe.inputs,
            layout=self.domain.layout,
        )

    def _identity(self, seed: int) -> dict[str, str]:
        """What makes two runs the same run; processes side by side change nothing, the other hardware may.

        A run that sees no recording is the same on every benchmark of such bodies: whoever is second finds it
        done.
        """
        method, training = self.recipe.method, self.recipe.training
        assert training is not None
        sees_recordings = not isinstance(method, TwinsConfig) or method.sees_recordings
        heeds_symmetries = not isinstance(method, TwinsConfig) or method.heeds_symmetries
        symmetries = sorted(self.domain.symmetries) if heeds_symmetries else []
        domain = asdict(self.domain) | {"symmetries": symmetries}
        steps = num_steps(training.budget, num_clips=len(self.clips), batch_size=training.batch_size)
        return {
            "recipe": json.dumps(self.recipe.model_dump(mode="json"), sort_keys=True),
            "data": self.data_sha256 if sees_recordings else "",
            "clips": self.rows_sha256 if sees_recordings else "",
            "simulated": self.simulated_sha256 or "",
            "steps": str(steps),
            "domain": json.dumps(domain, sort_keys=True),
            "seed": str(seed),
            "device": self.hardware.device,
            "threads": str(self.hardware.threads),
            "precision": self.hardware.precision,
            "compile": str(self.hardware.compile),
            "torch": torch.__version__,
            "code": code_digest(),
        }


def open_pretraining(benchmark: str, method: str, *, preset: Preset, hardware: HardwareConfig) -> Pretraining:
    """The pretraining of a method on the training clips of a benchmark.

    Their labels are read only for a method in LEARN_FROM_LABELS (trap E12), those of test clips never.
    Raises RecipeError if the recipe does not fit the body of the dataset or its number of clips.
    """
    about = read_benchmark(BENCHMARKS / benchmark)
    recipe = preset.recipe(about.size)
    may_see_labels = recipe.method.name in LEARN_FROM_LABELS
    table = read_split(BENCHMARKS / benchmark, "train", with_labels=may_see_labels)
    packed = open_data(about)
    edit = f"edit methods.{method}.{about.size} in params.yaml"
    if problem := recipe.misfit_body(packed.info.layout):
        raise RecipeError(f"{benchmark}: {problem}: {edit}")
    rows = table["row"].to_numpy(np.int64)
    clips, names, simulated_sha256 = input_clips(packed, rows.tolist(), recipe), table["name"].tolist(), None
    if recipe.simulated is not None:
        simulated = open_packed(SIMULATED / method / about.size)
        if simulated.info.layout != packed.info.layout:
            raise RecipeError(
                f"{benchmark}: its bodies are of {packed.info.layout.name}, the simulated ones of "
                f"{simulated.info.layout.name}: {edit}"
            )
        more = input_clips(simulated, list(range(simulated.info.num_clips)), recipe)
        real = recipe.simulated.with_real
        clips = add_clips(clips if real else None, more, persons=packed.info.persons)
        names = (names if real else []) + simulated.clips["name"].tolist()
        simulated_sha256 = simulated.info.data_sha256
    if problem := _misfit_steps(recipe.training, num_clips=len(clips)):
        raise RecipeError(f"{benchmark}: {problem}: {edit}")
    domain = domain_of(packed.info, num_classes=len(about.class_names) if may_see_labels else None)
    if recipe.method.name in SIMULATE and domain.layout.name not in RESTS:
        domain = replace(domain, rest=_bones_of(clips, domain.layout, name=benchmark))
    return Pretraining(
        name=f"pretrain {benchmark} {method}",
        recipe=recipe,
        clips=clips,
        clip_names=names,
        labels=torch.from_numpy(table["label"].to_numpy(np.int64, copy=True)) if may_see_labels else None,
        domain=domain,
        data_sha256=about.data_sha256,
        simulated_sha256=simulated_sha256,
        rows_sha256=hashlib.sha256(rows.tobytes()).hexdigest(),
        hardware=hardware,
    )


def save_encoders(benchmark: str, method: str, work: Pretraining, trained: Mapping[int, Pretrained]) -> None:
    """A safetensors file for each seed, which says what encoder it holds and what that wants to be fed.

    Beside the last weights, those of each snapshot: see `weights_file`. Raises StorageError if the disk does
    not take them.
    """
    out = PRETRAINED / benchmark / method
    about = {
        "encoder": work.recipe.encoder.model_dump(mode="json"),
        "inputs": work.recipe.inputs.model_dump(mode="json"),
        "layout": asdict(work.domain.layout),
        "persons": work.domain.num_persons,
    }
    # A single entry: several come out in chance order, and the bytes would differ from run to run.
    metadata = {"kinemask": json.dumps(about, sort_keys=True)}
    with whole_folder(out) as folder, writing(out):
        for seed, one in trained.items():
            for step, weights in ((None, one.weights), *one.snapshots.items()):
                write_whole(folder / weights_file(seed, step), save(weights, metadata))


def read_about(path: Path) -> EncoderAbout:
    """What stands beside the weights. Raises OSError, SafetensorError, KeyError or ValueError."""
    with safe_open(path, framework="pt") as file:
        return EncoderAbout.model_validate_json((file.metadata() or {})["kinemask"])


def weights_file(seed: int, step: int | None = None) -> str:
    """The name of the file of a seed's last weights, or of those after `step` steps."""
    return f"seed-{seed}.safetensors" if step is None else f"seed-{seed}-step-{step}.safetensors"


def save_looks(benchmark: str, method: str, work: Pretraining, seed: int, trained: Pretrained) -> None:
    """What the method did with some clips, a file beside the records, if anything. Raises StorageError."""
    layout, path = work.domain.layout, looks_path(benchmark, method)
    with writing(path):
        path.unlink(missing_ok=True)  # of an earlier recipe
    if trained.looks or trained.hop_bias:
        has_poses = any(one.has_poses for one in trained.looks)
        looks = Looks(
            seed=seed,
            joints=layout.joints,
            parts=layout.parts,
            clips=trained.looks,
            bones=layout.edges if has_poses else None,
            hop_bias=trained.hop_bias,
        )
        write_looks(path, looks)


def new_encoder(recipe: Recipe, *, layout: Layout, num_persons: int) -> Encoder:
    """The encoder of a recipe for that body, with fresh weights from torch's global generator."""
    return build_encoder(
        recipe.encoder,
        num_persons=num_persons,
        num_joints=layout.num_joints,
        num_frames=recipe.inputs.num_frames,
        hops=layout.hops,
    )


def input_clips(packed: PackedClips, rows: list[int], recipe: Recipe) -> RaggedClips:
    """The clips of those rows as the recipe wants them, with the origin moved."""
    return centre(load_clips(packed, rows), config=recipe.inputs, layout=packed.info.layout)


def _bones_of(clips: RaggedClips, layout: Layout, *, name: str) -> Offsets:
    """What the first person's bones are like in those clips. Raises RecipeError if they cannot be told."""
    try:
        return median_bones(layout, clips.joints[clips.present[:, 0], 0].numpy())
    except ValueError as error:
        raise RecipeError(f"{name}: {error}: nobody of that body can be simulated") from error


def _misfit_steps(training: TrainingConfig | None, *, num_clips: int) -> str | None:
    if training is None:
        return None
    steps = num_steps(training.budget, num_clips=num_clips, batch_size=training.batch_size)
    return training.misfit_steps(steps)


def domain_of(info: DatasetInfo, *, num_classes: int | None) -> Domain:
    """What the clips of a dataset are like; the number of classes is for who learns from labels."""
    return Domain(
        layout=info.layout,
        num_persons=info.persons,
        symmetries=frozenset(info.symmetries),
        num_classes=num_classes,
    )
