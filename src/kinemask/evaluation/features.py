"""Frozen features: the encoder runs once over every clip, everything frozen reads the result."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file

from kinemask.augment.temporal import centre_crop
from kinemask.encoders.base import Encoder
from kinemask.encoders.transformer import TransformerEncoder, resized_times
from kinemask.errors import KinemaskError
from kinemask.evaluation.frozen import Pooling, features_folder
from kinemask.progress import progress
from kinemask.section import Section
from kinemask.skeleton.batch import RaggedClips
from kinemask.skeleton.benchmark import BENCHMARKS, open_data, read_benchmark, read_split
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.packed import DatasetInfo, PackedClips
from kinemask.skeleton.resident import to_device
from kinemask.storage import whole_folder, writing
from kinemask.training.pretrain import (
    PRETRAINED,
    EncoderAbout,
    input_clips,
    new_encoder,
    read_about,
    weights_file,
)
from kinemask.training.recipe import Preset, Recipe
from kinemask.training.trainer import Log

_LOG = logging.getLogger(__name__)
_TIMES = "time_positions"  # the only weights that depend on the length of clips

Features = dict[str, Float32[np.ndarray, "N D"]]  # by pooling


class EncoderError(KinemaskError):
    """An encoder's weights are absent, damaged or of another encoder, or it lacks what is asked of it."""


class EmbedConfig(Section):
    """How clips are cut for evaluation and which poolings are kept, of those the encoder offers."""

    crop_share: float = Field(gt=0, le=1)
    batch: int = Field(ge=1)
    poolings: tuple[Pooling, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Embedded:
    """The features of one seed: of its last weights and, by their steps, of its snapshots."""

    last: Features
    snapshots: Mapping[int, Features]


@dataclass(frozen=True)
class Embedding:
    """Turns the clips of a benchmark into features; `run` does it with the encoders of one seed."""

    name: str  # shown beside the bar
    weights: Path  # the folder that pretrain made
    recipe: Recipe
    config: EmbedConfig
    packed: PackedClips
    rows: list[int]  # of the clips, in the order of the features
    device: str
    steps: tuple[int, ...]  # the snapshots that are embedded, too

    def files(self, seed: int) -> dict[int | None, Path]:
        """The weights of a seed: the last ones under None, those of snapshots under their steps."""
        return {step: self.weights / weights_file(seed, step) for step in (None, *self.steps)}

    def run(self, seed: int, log: Log) -> Embedded:
        """Features of every clip. Raises EncoderError if weights do not fit exactly. Nothing is logged."""
        clips = to_device(input_clips(self.packed, self.rows, self.recipe), self.device)
        found = {
            step: embed(
                read_encoder(path, self.recipe, self.packed.info).to(self.device),
                clips,
                config=self.config,
                inputs=self.recipe.inputs,
                layout=self.packed.info.layout,
                name=f"{self.name} {path.stem.replace('-', ' ')}",
            )
            for step, path in self.files(seed).items()
        }
        return Embedded(found[None], {step: found[step] for step in self.steps})


def open_embedding(
    benchmark: str,
    method: str,
    *,
    preset: Preset,
    config: EmbedConfig,
    device: str,
    source: str | None = None,
) -> Embedding:
    """The embedding of all clips of a benchmark, those to train on first, by the encoders of a method.

    They were pretrained on the benchmark itself; or on the `source`, and then their last weights alone count.
    """
    folder = BENCHMARKS / benchmark
    about = read_benchmark(folder)
    parts = [read_split(folder, part, with_labels=False)["row"] for part in ("train", "test")]
    recipe = preset.recipe(about.size)
    training = recipe.training if source is None else None
    return Embedding(
        name=f"embed {benchmark} {method}" + ("" if source is None else f" from {source}"),
        weights=PRETRAINED / (source or benchmark) / method,
        recipe=recipe,
        config=config,
        packed=open_data(about),
        rows=[*parts[0], *parts[1]],
        device=device,
        steps=() if training is None else training.snapshots,
    )


def read_encoder(path: Path, recipe: Recipe, info: DatasetInfo, *, resize_times: bool = False) -> Encoder:
    """The encoder of a recipe with the weights of a file. Raises EncoderError if they do not fit exactly.

    Clips of `info` may be of another data set than it was trained on, but not of another body, nor of more
    persons where it cannot take them. With `resize_times` a transformer may have been trained on clips of
    another length: its positions in time are stretched, and a line says so.
    """
    try:
        about = read_about(path)
        if problem := _misfit_clips(about, info):
            raise EncoderError(f"{path} {problem}: take another pair of benchmarks, or another encoder")
        persons = about.encoder.most_persons(about.persons) or info.persons
        encoder = new_encoder(recipe, layout=info.layout, num_persons=persons)
        tensors = load_file(path)
        if resize_times and isinstance(encoder, TransformerEncoder):
            found, wanted = len(tensors[_TIMES]), encoder.num_times
            if found != wanted:
                _LOG.warning("%s: its positions of %d times are stretched to %d", path, found, wanted)
                tensors[_TIMES] = resized_times(tensors[_TIMES], wanted)
        encoder.load_state_dict(tensors, strict=True)
    except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
        problem = " ".join(str(error).split())
        raise EncoderError(f"{path} is not the encoder of this recipe ({problem}): run pretrain") from error
    return encoder


def _misfit_clips(about: EncoderAbout, info: DatasetInfo) -> str | None:
    """Why an encoder cannot be fed clips of a data set, or None if it can."""
    if about.layout != info.layout:
        another = "another " if about.layout.name == info.layout.name else ""
        return (
            f"was trained on bodies of {about.layout.name}, and {info.name} has {another}{info.layout.name}"
        )
    most = about.encoder.most_persons(about.persons)
    if most is not None and info.persons > most:
        return (
            f"was trained on clips of at most {about.persons} person(s), those of {info.name} have up to "
            f"{info.persons}, and the encoder {about.encoder.name!r} takes no more than it was built for"
        )
    return None


def embed(
    encoder: Encoder,
    clips: RaggedClips,
    *,
    config: EmbedConfig,
    inputs: InputConfig,
    layout: Layout,
    name: str,
) -> Features:
    """Features of every clip by pooling. Raises EncoderError if the encoder offers none of the asked ones."""
    poolings = offered_poolings(encoder, config.poolings, "evaluation.embed.poolings")
    rows = torch.arange(len(clips), device=clips.offsets.device)
    return join_features(
        embed_batch(
            encoder,
            clips.select(chosen),
            poolings=poolings,
            crop_share=config.crop_share,
            inputs=inputs,
            layout=layout,
        )
        for chosen in progress(torch.split(rows, config.batch), name=name, unit="batch")
    )


def offered_poolings(encoder: Encoder, asked: Sequence[Pooling], place: str) -> tuple[str, ...]:
    """Those of `asked` that the encoder offers. Raises EncoderError with their `place` in params if none."""
    poolings = tuple(pooling for pooling in asked if pooling in encoder.poolings)
    if not poolings:
        raise EncoderError(
            f"{place}: the encoder offers {', '.join(encoder.poolings)}, none of {', '.join(asked)}"
        )
    return poolings


@torch.no_grad()
def embed_batch(
    encoder: Encoder,
    clips: RaggedClips,
    *,
    poolings: Sequence[str],
    crop_share: float,
    inputs: InputConfig,
    layout: Layout,
) -> Features:
    """Features of some clips, all in one pass."""
    encoder.eval()
    batch = centre_crop(clips, share=crop_share, num_frames=inputs.num_frames)
    encoded = encoder(as_input(batch, config=inputs, layout=layout))
    return {pooling: encoder.pool(encoded, pooling).float().cpu().numpy() for pooling in poolings}


def join_features(parts: Iterable[Features]) -> Features:
    """The features of several batches, one after the other. Raises ValueError if there is no batch."""
    of_batches = list(parts)
    if not of_batches:
        raise ValueError("there are no clips to embed")
    return {pooling: np.concatenate([one[pooling] for one in of_batches]) for pooling in of_batches[0]}


def save_features(out: Path, embedded: Mapping[int, Embedded]) -> None:
    """One folder a seed, in it one a snapshot; one array a pooling.

    Raises StorageError if the disk does not take them.
    """
    with whole_folder(out) as folder, writing(out):
        for seed, one in embedded.items():
            for step, features in ((None, one.last), *one.snapshots.items()):
                place = features_folder(folder / f"seed-{seed}", step)
                place.mkdir()
                for pooling, values in features.items():
                    np.save(place / f"{pooling}.npy", values, allow_pickle=False)
