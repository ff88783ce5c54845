"""Fine-tuning: encoder and head are trained with labels, from the pretrained weights (EVALUATION section 1).

With all training labels that is the evaluation `finetune`; with a share of them, drawn as for `few`, `semi`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int

from kinemask.augment.temporal import centre_crop
from kinemask.encoders.base import Encoder
from kinemask.encoders.transformer import TransformerEncoder
from kinemask.errors import KinemaskError
from kinemask.evaluation.features import EmbedConfig, read_encoder
from kinemask.evaluation.few import Draw, draw_labelled, percent_text
from kinemask.evaluation.finetune_config import FinetuneConfig, FinetuneRecipe, FinetuneUsed
from kinemask.evaluation.frozen import ABSENT_SCORE, Probed, Subset
from kinemask.hardware import HardwareConfig
from kinemask.methods.base import Domain
from kinemask.methods.supervised import LabelledClips, Supervised, SupervisedConfig
from kinemask.record import hash_files
from kinemask.run_key import TRAINING_CODE, code_digest
from kinemask.section import Section
from kinemask.seeding import derive_seed
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.benchmark import BENCHMARKS, open_data, read_benchmark, read_split
from kinemask.skeleton.packed import DatasetInfo
from kinemask.skeleton.resident import to_device
from kinemask.training.checkpoint import CHECKPOINTS, open_checkpoints
from kinemask.training.pretrain import PRETRAINED, domain_of, input_clips, weights_file
from kinemask.training.recipe import Preset, Recipe
from kinemask.training.trainer import Log, Trainer

_CODE = (*TRAINING_CODE, "evaluation/finetune.py")


class OneClassError(KinemaskError):
    """All labels are the same: fine-tuning has nothing to tell apart. The message names the benchmark."""


class TuneParams(Section):
    """What stages that fine-tune read of the plan of the method and of params.yaml."""

    seeds: tuple[int, ...]
    method: Preset
    embed: EmbedConfig
    finetune: FinetuneConfig
    hardware: HardwareConfig


@dataclass(frozen=True)
class LabelShare:
    """A share of the training labels, in (0, 1], and how their clips are drawn."""

    share: float
    draw: Draw


@dataclass(frozen=True)
class TrainPart:
    """What may be learned from: the training clips and their labels, and nothing of others."""

    clips: RaggedClips
    names: tuple[str, ...]
    labels: Int[np.ndarray, " N"]


@dataclass(frozen=True)
class Finetuning:
    """Everything that defines the fine-tunings of a method on a benchmark; `run` makes one seed of it.

    `source` is the benchmark that the encoders were pretrained on; None: the one they are fine-tuned on.
    """

    benchmark: str
    method: str
    recipe: Recipe  # of the pretraining, but for the length of clips if `finetune` names another
    finetune: FinetuneRecipe
    embed: EmbedConfig  # how test clips are cut, as for frozen features
    train: TrainPart
    test: RaggedClips
    info: DatasetInfo
    domain: Domain
    hardware: HardwareConfig
    few: LabelShare | None = None  # None: all training labels are seen
    source: str | None = None
    checkpoints: Path = CHECKPOINTS

    @property
    def used(self) -> FinetuneUsed:
        """What the record says."""
        return FinetuneUsed(finetune=self.finetune, crop_share=self.embed.crop_share)

    def weights(self, seed: int) -> Path:
        """The pretrained encoder of a seed."""
        return PRETRAINED / (self.source or self.benchmark) / self.method / weights_file(seed)

    def run(self, seed: int, log: Log) -> Probed:
        """Train, or go on from the last checkpoint of exactly this run, and score the test clips.

        Raises EncoderError if the weights do not fit, TrainingDiverged, or CheckpointError.
        """
        device, recipe = self.hardware.device, self.finetune
        rows = self.labelled(seed)
        labels = torch.from_numpy(self.train.labels[rows].astype(np.int64))
        clips = to_device(self.train.clips, device).select(torch.from_numpy(rows).to(device))
        model = self._model(seed).to(device)
        with open_checkpoints(self._identity(seed, rows), root=self.checkpoints) as checkpoints:
            result = Trainer(
                name=f"{self._name} seed {seed}",
                method=model,
                clips=LabelledClips.of(clips, labels),
                batch_size=recipe.batch_size,
                seed=seed,
                optim=recipe.optimizer,
                budget=recipe.budget,
                log_every_steps=recipe.log_every_steps,
                checkpoint_every_steps=recipe.checkpoint_every_steps,
                snapshots=(),
                hardware=self.hardware,
                log=log,
                keep=lambda step: None,
                checkpoints=checkpoints,
                layer_decay=recipe.layer_decay,
            ).run()
        last = result.summary()
        values = {"steps": last["steps"], "epochs": last["epochs"], "num_labelled": float(len(rows))}
        values |= {"train_loss": last["loss"], "train_top1": last["top1"]}
        return Probed(
            seed, self.setting, self._scores(model), values, self._subset(rows), tuple(result.history)
        )

    @property
    def _name(self) -> str:
        """What is shown beside the bar."""
        few = () if self.few is None else (f"{percent_text(self.few.share)}%",)
        source = () if self.source is None else (f"from {self.source}",)
        return " ".join(("finetune", self.benchmark, self.method, *source, *few))

    @property
    def setting(self) -> str:
        """As the other evaluations call theirs: `pooling=mean`, `pooling=mean labels=1%`."""
        few = () if self.few is None else (f"labels={percent_text(self.few.share)}%",)
        return " ".join((f"pooling={self.finetune.head.pooling}", *few))

    def labelled(self, seed: int) -> Int[np.ndarray, " L"]:
        """Rows of the training clips whose labels are seen; of a share those that `few` sees."""
        if self.few is None:
            return np.arange(len(self.train.names))
        return draw_labelled(
            np.array(self.train.names),
            self.train.labels,
            share=self.few.share,
            draw=self.few.draw,
            seed=seed,
            benchmark=self.benchmark,
        )

    def _subset(self, rows: Int[np.ndarray, " L"]) -> Subset | None:
        if self.few is None:
            return None
        return Subset(percent_text(self.few.share), tuple(self.train.names[row] for row in rows))

    def _model(self, seed: int) -> Supervised:
        recipe = self.finetune
        encoder = read_encoder(self.weights(seed), self.recipe, self.info, resize_times=True)
        _set_drop_path(encoder, recipe.drop_path)
        torch.manual_seed(derive_seed(seed, "head"))
        config = SupervisedConfig(
            name="supervised",
            head=recipe.head,
            normal_view=recipe.view,
            label_smoothing=recipe.label_smoothing,
        )
        inputs, domain = self.recipe.inputs, self.domain
        return Supervised(config=config, encoder=encoder, inputs=inputs, domain=domain, frozen=recipe.freeze)

    @torch.no_grad()
    def _scores(self, model: Supervised) -> Float32[np.ndarray, "E K"]:
        """Of the test clips; a class without training clips is never the answer, as in the probes."""
        model.eval()
        clips = to_device(self.test, self.hardware.device)
        num_frames = self.recipe.inputs.num_frames
        found = []
        for chosen in torch.split(torch.arange(len(clips), device=clips.offsets.device), self.embed.batch):
            batch = centre_crop(clips.select(chosen), share=self.embed.crop_share, num_frames=num_frames)
            found.append(model.scores(batch).float().cpu().numpy())
        scores = np.concatenate(found)
        scores[:, np.setdiff1d(np.arange(scores.shape[1]), self.train.labels)] = ABSENT_SCORE
        return scores

    def _identity(self, seed: int, rows: Int[np.ndarray, " L"]) -> dict[str, str]:
        """What makes two runs the same run, as in a pretraining, with the weights it starts from."""
        domain = asdict(self.domain) | {"symmetries": sorted(self.domain.symmetries)}
        labelled = [(self.train.names[row], int(self.train.labels[row])) for row in rows]
        return {
            "stage": "finetune",
            "recipe": _text(self.finetune.model_dump(mode="json")),
            "inputs": _text(self.recipe.inputs.model_dump(mode="json")),
            "weights": hash_files([self.weights(seed)])[self.weights(seed).as_posix()],
            "data": self.info.data_sha256,
            "labelled": hashlib.sha256(_text(labelled).encode()).hexdigest(),
            "domain": _text(domain),
            "seed": str(seed),
            "device": self.hardware.device,
            "threads": str(self.hardware.threads),
            "precision": self.hardware.precision,
            "compile": str(self.hardware.compile),
            "torch": torch.__version__,
            "code": code_digest(_CODE),
        }


def open_finetuning(
    benchmark: str,
    method: str,
    *,
    preset: Preset,
    config: FinetuneConfig,
    embed: EmbedConfig,
    hardware: HardwareConfig,
    source: str | None = None,
) -> Finetuning:
    """The fine-tuning of a method on the training clips of a benchmark. Labels of test clips are never read.

    `source` is the benchmark that its encoders were pretrained on, if it is another. Raises RecipeError if
    its encoder cannot be fine-tuned, OneClassError if there is nothing to learn.
    """
    folder = BENCHMARKS / benchmark
    about = read_benchmark(folder)
    recipe = preset.recipe(about.size)
    finetune = config.recipe(recipe.encoder, about.size)
    if finetune.num_frames is not None:
        inputs = recipe.inputs.model_copy(update={"num_frames": finetune.num_frames})
        recipe = recipe.model_copy(update={"inputs": inputs})
    train = read_split(folder, "train", with_labels=True)
    labels = train["label"].to_numpy(np.int64)
    if len(np.unique(labels)) < 2:
        raise OneClassError(
            f"{benchmark}: all {len(labels)} training clips are of the class "
            f"{about.class_names[labels[0]]!r}, so there is nothing to fine-tune an encoder for: edit "
            f"benchmarks.{benchmark} in params.yaml"
        )
    test = read_split(folder, "test", with_labels=False)
    packed = open_data(about)
    return Finetuning(
        benchmark=benchmark,
        method=method,
        recipe=recipe,
        finetune=finetune,
        embed=embed,
        train=TrainPart(
            input_clips(packed, train["row"].tolist(), recipe),
            tuple(train["name"]),
            labels,
        ),
        test=input_clips(packed, test["row"].tolist(), recipe),
        info=packed.info,
        domain=domain_of(packed.info, num_classes=len(about.class_names)),
        hardware=hardware,
        source=source,
    )


def _set_drop_path(encoder: Encoder, rate: float) -> None:
    if isinstance(encoder, TransformerEncoder):
        encoder.set_drop_path(rate)
    else:
        assert rate == 0, "FinetuneRecipe.misfit admits no other for this encoder"


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
