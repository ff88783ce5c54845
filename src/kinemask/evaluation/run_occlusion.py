"""The occlusion benchmark of a method: its encoders and probes meet damaged clips (EVALUATION section 2)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int
from threadpoolctl import threadpool_limits

from kinemask.encoders.base import Encoder
from kinemask.errors import KinemaskError
from kinemask.evaluation.features import (
    EmbedConfig,
    Features,
    embed_batch,
    join_features,
    offered_poolings,
    read_encoder,
)
from kinemask.evaluation.frozen import Probed
from kinemask.evaluation.kept import UNDAMAGED, Probe, setting_of
from kinemask.evaluation.linear_probe import LinearConfig, LinearProbe, fit_linear
from kinemask.evaluation.occlusion import (
    Damage,
    Damaged,
    Draws,
    Groups,
    OcclusionConfig,
    all_damage,
    damage_clips,
)
from kinemask.evaluation.regression import prepare_inputs, regression_path
from kinemask.hardware import HardwareConfig
from kinemask.progress import progress
from kinemask.section import Section
from kinemask.skeleton.benchmark import BENCHMARKS, open_data, read_benchmark, read_split
from kinemask.skeleton.inputs import centre
from kinemask.skeleton.packed import PackedClips
from kinemask.skeleton.resident import load_clips, to_device
from kinemask.training.pretrain import PRETRAINED, weights_file
from kinemask.training.recipe import Preset, Recipe
from kinemask.training.trainer import Log

_LOG = logging.getLogger(__name__)

Scores = Float32[np.ndarray, "E K"]


class OcclusionError(KinemaskError):
    """Groups of joints that the body of a benchmark does not have."""


class OcclusionUsed(Section):
    """What a record says of the params."""

    occlusion: OcclusionConfig
    linear: LinearConfig
    crop_share: float


@dataclass(frozen=True)
class ClipPart:
    """Clips of a packed dataset by their rows."""

    rows: tuple[int, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class TrainLabels:
    """What is known of the training clips."""

    labels: Int[np.ndarray, " N"]
    subjects: Int[np.ndarray, " N"]
    num_classes: int


@dataclass(frozen=True)
class Occlusion:
    """Everything that defines the occlusion benchmark of a method; `run` makes one seed of it."""

    name: str  # shown beside the bar
    weights: Path  # the folder that pretrain made
    recipe: Recipe
    config: OcclusionConfig
    linear: LinearConfig  # the probes'
    embed: EmbedConfig
    packed: PackedClips
    groups: Groups
    train: ClipPart
    known: TrainLabels
    test: ClipPart
    hardware: HardwareConfig

    @property
    def used(self) -> OcclusionUsed:
        """What the record says."""
        return OcclusionUsed(occlusion=self.config, linear=self.linear, crop_share=self.embed.crop_share)

    def encoder_file(self, seed: int) -> Path:
        """The weights of a seed's encoder."""
        return self.weights / weights_file(seed)

    def run(self, seed: int, log: Log) -> list[Probed]:
        """Scores of the test clips undamaged and in every damage, by pooling. Nothing is logged.

        Raises EncoderError if the weights do not fit, or offer none of the poolings.
        """
        # Forked beside others: the fits take the threads they are given, no more.
        with threadpool_limits(self.hardware.threads):
            return _SeedRun(self, seed).run()


@dataclass(frozen=True)
class _Seen:
    """What became of a batch of clips in one damage."""

    features: Features
    num_missing: int
    num_joints: int  # of present persons, in all frames


class _SeedRun:
    """One seed. Clips are damaged and embedded batch by batch, so memory does not grow with the levels."""

    def __init__(self, work: Occlusion, seed: int) -> None:
        self.work, self.seed = work, seed
        encoder = read_encoder(work.encoder_file(seed), work.recipe, work.packed.info)
        self.encoder: Encoder = encoder.to(work.hardware.device)
        self.poolings = offered_poolings(encoder, work.config.poolings, "evaluation.occlusion.poolings")

    def run(self) -> list[Probed]:
        """Scores by the clean probes in every damage, then by those adapted to one."""
        config, groups = self.work.config, self.work.groups
        clean = self._train_features(None)
        probes = {pooling: self._fit(features, pooling) for pooling, features in clean.items()}
        probed = self._test(probes, "clean", [None, *all_damage(config.levels, config, groups)])
        for damage in all_damage(config.adapted, config, groups):
            adapted = {
                pooling: self._refit(features, probes[pooling], pooling)
                for pooling, features in self._train_features(damage).items()
            }
            probed += self._test(adapted, "adapted", [damage])
        return probed

    def _train_features(self, damage: Damage | None) -> Features:
        return join_features(seen.features for (seen,) in self._batches(self.work.train, [damage], "train"))

    def _fit(self, features: Float32[np.ndarray, "N D"], pooling: str) -> LinearProbe:
        known = self.work.known
        probe = fit_linear(
            features=features,
            labels=known.labels,
            subjects=known.subjects,
            num_classes=known.num_classes,
            config=self.work.linear,
        )
        self._warn(probe, pooling)
        return probe

    def _refit(self, features: Float32[np.ndarray, "N D"], clean: LinearProbe, pooling: str) -> LinearProbe:
        """A probe on damaged clips, of the strength that was chosen on clean ones."""
        linear = self.work.linear
        prepare = prepare_inputs(features, linear.components)
        (regression,) = regression_path(prepare(features), self.work.known.labels, [clean.c], linear)
        probe = replace(clean, preparation=prepare, regression=regression, converged=regression.converged)
        self._warn(probe, pooling)
        return probe

    def _warn(self, probe: LinearProbe, pooling: str) -> None:
        if not probe.converged:
            _LOG.warning(
                "%s seed %d, pooling %s: a fit did not converge in %d iterations: raise "
                "evaluation.linear.max_iterations or take the largest values out of c_grid",
                self.work.name,
                self.seed,
                pooling,
                self.work.linear.max_iterations,
            )

    def _test(
        self, probes: Mapping[str, LinearProbe], name: Probe, cases: Sequence[Damage | None]
    ) -> list[Probed]:
        """Scores of the test clips in each damage (None: none) by the probe of each pooling."""
        scores: dict[tuple[str, int], list[Scores]] = {}
        missing, joints = np.zeros(len(cases)), np.zeros(len(cases))
        for batch in self._batches(self.work.test, cases, f"{name} test"):
            for case, seen in enumerate(batch):
                missing[case] += seen.num_missing
                joints[case] += seen.num_joints
                for pooling, probe in probes.items():
                    scores.setdefault((pooling, case), []).append(probe.scores(seen.features[pooling]))
        probed = []
        for (pooling, case), found in scores.items():
            damage, probe = cases[case], probes[pooling]
            values = {
                "validation_top1": probe.validation_top1,
                "c": probe.c,
                "converged": float(probe.converged),
                "missing": float(missing[case] / joints[case]) if joints[case] else 0.0,
            }
            setting = setting_of(pooling, name, UNDAMAGED if damage is None else damage.words)
            probed.append(Probed(self.seed, setting, np.concatenate(found), values))
        return probed

    def _batches(self, part: ClipPart, cases: Sequence[Damage | None], what: str) -> Iterator[list[_Seen]]:
        """What became of each batch of clips in each of the cases."""
        size = self.work.embed.batch
        starts = range(0, len(part.rows), size)
        for start in progress(starts, name=f"{self.work.name} seed {self.seed} {what}", unit="batch"):
            chosen = slice(start, start + size)
            clips = load_clips(self.work.packed, part.rows[chosen])
            draws = [
                Draws(clips, part.names[chosen], seed=self.seed, draw=draw)
                for draw in range(self.work.config.draws)
            ]
            yield [self._see(damage, draws) for damage in cases]

    def _see(self, damage: Damage | None, draws: Sequence[Draws]) -> _Seen:
        work = self.work
        whole = draws[0].clips
        damaged = (
            Damaged(whole, 0) if damage is None else damage_clips(damage, draws[damage.draw], work.groups)
        )
        layout, inputs = work.packed.info.layout, work.recipe.inputs
        features = embed_batch(
            self.encoder,
            to_device(centre(damaged.clips, config=inputs, layout=layout), work.hardware.device),
            poolings=self.poolings,
            crop_share=work.embed.crop_share,
            inputs=inputs,
            layout=layout,
        )
        return _Seen(features, damaged.num_missing, int(whole.present.sum()) * layout.num_joints)


def open_occlusion(
    benchmark: str,
    method: str,
    *,
    preset: Preset,
    config: OcclusionConfig,
    linear: LinearConfig,
    embed: EmbedConfig,
    hardware: HardwareConfig,
) -> Occlusion:
    """The occlusion benchmark of a method. Labels of test clips are never read.

    Raises OcclusionError if groups of joints do not fit the body.
    """
    folder = BENCHMARKS / benchmark
    about = read_benchmark(folder)
    packed = open_data(about)
    if problem := config.misfit_body(packed.info.layout):
        raise OcclusionError(f"{benchmark}: {problem}: edit params.yaml")
    train = read_split(folder, "train", with_labels=True)
    test = read_split(folder, "test", with_labels=False)
    parts = [ClipPart(tuple(one["row"].tolist()), tuple(one["name"])) for one in (train, test)]
    return Occlusion(
        name=f"occlusion {benchmark} {method}",
        weights=PRETRAINED / benchmark / method,
        recipe=preset.recipe(about.size),
        config=config,
        linear=linear,
        embed=embed,
        packed=packed,
        groups=config.groups_of(packed.info.layout),
        train=parts[0],
        known=TrainLabels(train["label"].to_numpy(), train["subject"].to_numpy(), len(about.class_names)),
        test=parts[1],
        hardware=hardware,
    )
