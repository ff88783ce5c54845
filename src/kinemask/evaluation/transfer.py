"""Transfer: encoders that were pretrained on one benchmark are scored on another (EVALUATION section 1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from kinemask.evaluation.features import EmbedConfig, open_embedding, save_features
from kinemask.evaluation.few import FewConfig, LabelsConfig, probe_few
from kinemask.evaluation.finetune import TuneParams, open_finetuning
from kinemask.evaluation.finetune_config import FinetuneRecipe
from kinemask.evaluation.fit_pool import run_fits
from kinemask.evaluation.frozen import Probed, ProbeTask, first_offered
from kinemask.evaluation.knn import KnnConfig, probe_knn
from kinemask.evaluation.linear_probe import LinearConfig, probe_linear
from kinemask.methods.supervised import TRAINABLE
from kinemask.run import Pair
from kinemask.section import Section
from kinemask.skeleton.benchmark import BENCHMARKS, read_benchmark
from kinemask.training.pretrain import PRETRAINED, weights_file
from kinemask.training.seeds_pool import run_seeds

STAGE = "transfer"
RESULTS = PRETRAINED.parent


class TransferConfig(Section):
    """linear, knn and few on frozen features; `finetune`: with all labels of the target, too."""

    finetune: bool


class TransferParams(TuneParams):
    """What the stage reads: that of the evaluations that it makes on the target."""

    linear: LinearConfig
    knn: KnnConfig
    few: FewConfig
    labels: LabelsConfig
    transfer: TransferConfig


class TransferUsed(Section):
    """What a record says of the params; `finetune` is null where nothing was fine-tuned."""

    embed: EmbedConfig
    linear: LinearConfig
    knn: KnnConfig
    few: FewConfig
    labels: LabelsConfig
    finetune: FinetuneRecipe | None


@dataclass(frozen=True)
class _Fit:
    probe: Callable[[ProbeTask], list[Probed]]
    task: ProbeTask


@dataclass(frozen=True)
class Transferred:
    """What the encoders of a pair's source give on its target, not yet scored."""

    probed: list[Probed]
    used: TransferUsed
    encoders: dict[int, Path]  # the weights that each seed began with


def transfer(pair: Pair, method: str, params: TransferParams) -> Transferred:
    """Run the encoders of a pair's source on its target, every seed; leave their features.

    The target alone gives clips, labels, folds, drawn subsets and what features are standardised by; how
    clips are fed is the recipe of the method. Raises EncoderError if the encoders cannot take the clips.
    """
    tuned, recipe = _fine_tuned(pair, method, params) if params.transfer.finetune else ([], None)
    frozen = run_fits(
        _run_fit,
        _fits(_embedded(pair, method, params), pair, params),
        processes=params.hardware.processes,
        threads=params.hardware.threads,
        name=f"{STAGE} {pair.name} {method}",
    )
    used = {name: getattr(params, name) for name in TransferUsed.model_fields if name != "finetune"}
    folder = PRETRAINED / pair.source / method
    return Transferred(
        [*chain.from_iterable(frozen), *tuned],
        TransferUsed(**used, finetune=recipe),
        {seed: folder / weights_file(seed) for seed in params.seeds},
    )


def _embedded(pair: Pair, method: str, params: TransferParams) -> list[ProbeTask]:
    """Every pooling of every seed, its features on disk."""
    hardware, out = params.hardware, RESULTS / STAGE / pair.name / method
    work = open_embedding(
        pair.target,
        method,
        preset=params.method,
        config=params.embed,
        device=hardware.device,
        source=pair.source,
    )
    found = run_seeds(work.run, params.seeds, hardware=hardware, on_log=lambda *row: None)
    save_features(out, dict(zip(params.seeds, found, strict=True)))
    return [
        ProbeTask(BENCHMARKS / pair.target, out / f"seed-{seed}" / f"{pooling}.npy", seed)
        for seed, one in zip(params.seeds, found, strict=True)
        for pooling in one.last
    ]


def _fits(tasks: Sequence[ProbeTask], pair: Pair, params: TransferParams) -> list[_Fit]:
    of_few = first_offered(tasks, params.few.poolings, "evaluation.few.poolings")
    few = partial(probe_few, config=params.few, draw=params.labels.draw)
    return [
        _Fit(probe, replace(task, begins=(pair.setting, name)))
        for name, probe, chosen in (
            ("linear", partial(probe_linear, config=params.linear), tasks),
            ("knn", partial(probe_knn, config=params.knn), tasks),
            ("few", few, of_few),
        )
        for task in chosen
    ]


def _run_fit(fit: _Fit) -> list[Probed]:
    return fit.probe(fit.task)


def _fine_tuned(
    pair: Pair, method: str, params: TransferParams
) -> tuple[list[Probed], FinetuneRecipe | None]:
    """The scores of every seed after fine-tuning on the target; none of an encoder with nothing to train."""
    size = read_benchmark(BENCHMARKS / pair.target).size
    if params.method.recipe(size).encoder.name not in TRAINABLE:
        return [], None
    work = open_finetuning(
        pair.target,
        method,
        preset=params.method,
        config=params.finetune,
        embed=params.embed,
        hardware=params.hardware,
        source=pair.source,
    )
    found = run_seeds(work.run, params.seeds, hardware=params.hardware, on_log=lambda *row: None)
    named = [replace(one, setting=f"{pair.setting} finetune {one.setting}") for one in found]
    return named, work.finetune
