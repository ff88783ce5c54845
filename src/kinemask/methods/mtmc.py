"""Motion-topology masked prediction and contrast with a recurrent encoder, after Hui et al. 2026.

What the paper leaves open is settled in METHOD_MTMC.md, whose sections the comments name.
"""

import math
from collections.abc import Sequence

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from kinemask.encoders.base import Encoded, Encoder
from kinemask.looks import ClipLook
from kinemask.masking.features import drop_joints, keep_channels, keep_entries
from kinemask.methods.base import Domain, Method, StepOutput
from kinemask.methods.decoder import FrameDecoder
from kinemask.methods.ema import keys_of, make_teacher, move_teacher
from kinemask.methods.mtmc_config import CurriculumConfig, MtmcConfig, WeightsConfig
from kinemask.methods.mtmc_look import look_at
from kinemask.methods.mtmc_views import ExtremeView, MaskedView, ViewMaker, Views
from kinemask.methods.prompts import OutputPrompt
from kinemask.methods.queue import KeyQueue
from kinemask.objectives.contrastive import (
    distribution_error,
    info_nce,
    mixed_key,
    nearest_in_queue,
    similarity_error,
)
from kinemask.objectives.reconstruction import masked_error
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.streams import motion

TINY_SQUARE = 1e-12  # a square micrometre: a body that does not move at all is not divided by zero

# The views that are contrasted with a key, and the terms that this makes.
_CONTRASTS = {
    "normal": "contrast",
    "masked": "masked_contrast",
    "predicted": "predicted_contrast",
    "mixed": "mixed_contrast",
}
_MINERS = ("normal", "extreme", "dropped")

Tensors = dict[str, Tensor]


class Mtmc(Method):
    """The student encoder learns; the teacher follows it and names the keys."""

    def __init__(self, *, config: MtmcConfig, encoder: Encoder, inputs: InputConfig, domain: Domain):
        super().__init__()
        self.config = config
        self.views = ViewMaker(config, inputs, domain, encoder.stride)
        width = encoder.pooled_width(config.pooling)
        frame_shape = (domain.num_persons, domain.layout.num_joints, 3)
        weights = config.weights
        self.encoder = encoder
        last = nn.Linear(width, config.projector_width)
        nn.init.xavier_uniform_(last.weight)
        self.projector = nn.Sequential(nn.Linear(width, width), nn.ReLU(), last)
        self.decoder: FrameDecoder | None = None
        if weights.prediction or weights.predicted_contrast:
            num_outputs = encoder.stride * math.prod(frame_shape)
            self.decoder = FrameDecoder(width=width, config=config.decoder, num_outputs=num_outputs)
        hides = config.mask.fill == "learned" and weights.masked > 0
        replaces = config.drop.kind == "frame_joints" and weights.dropped > 0
        self.hidden_fill = nn.Parameter(torch.zeros(3)) if hides else None
        self.replaced_fill = nn.Parameter(torch.zeros(3)) if replaces else None
        self.input_prompts = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(frame_shape)) for name in _prompted(config)}
        )
        self.contrast_prompt = OutputPrompt(width) if config.prompts else None
        self.prediction_prompt = OutputPrompt(width) if config.prompts and self.decoder else None
        self.teacher = make_teacher(self._student())
        self.queue = KeyQueue(length=config.queue_length, width=config.projector_width)
        self._keys: Tensor | None = None

    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        """The total of METHOD B6. A term that joins later in a curriculum is logged as 0 until then."""
        weights = self._weights_at(done)
        views = self.views.make(
            clips,
            weights=weights,
            hidden_fill=self.hidden_fill,
            replaced_fill=self.replaced_fill,
            generator=generator,
        )
        encoded = self._encode_all(views)
        key = keys_of(self.teacher, views.key)[self.config.pooling]
        terms: Tensors = {}
        if views.masked is not None and self.decoder is not None:
            predicted, error = self._predict(views.masked, encoded["masked"], generator)
            if weights.prediction:
                terms["prediction"] = error
            if weights.predicted_contrast:
                encoded["predicted"] = self._encode_predicted(predicted)
        queries = {name: self._query(self._pool(one), generator) for name, one in encoded.items()}
        if views.extreme is not None and weights.dropped and "dropped" not in queries:
            queries["dropped"] = self._dropped(views.extreme, encoded["extreme"], queries, key, generator)
        terms |= self._contrasts(queries, key, views, weights, done) | self._follow(queries, key, weights)
        loss = key.new_zeros(())
        for name, term in terms.items():
            loss = loss + getattr(weights, name) * term
        self._keys = key
        return StepOutput(loss, self._metrics(terms, encoded["normal"]))

    def after_optimizer_step(self, step: int) -> None:
        """Move the teacher and enqueue the keys, only once the update is accepted."""
        move_teacher(self.teacher, self._student(), momentum=self.config.teacher_momentum)
        assert self._keys is not None, "after_optimizer_step follows training_step"
        self.queue.push(self._keys)
        self._keys = None

    def look(
        self, clips: RaggedClips, names: Sequence[str], generator: torch.Generator
    ) -> tuple[ClipLook, ...]:
        """The masked view, and the channels that the extreme view loses."""
        return look_at(self.encoder, self.views, clips, names, generator)

    def _weights_at(self, done: float) -> WeightsConfig:
        schedule, weights = self.config.schedule, self.config.weights
        if not isinstance(schedule, CurriculumConfig):
            return weights
        later = {"extreme": schedule.extreme_from, "dropped": schedule.dropped_from}
        return weights.model_copy(update={name: 0.0 for name, start in later.items() if done < start})

    def _encode_all(self, views: Views) -> dict[str, Encoded]:
        """All views that wait for no other one, in one pass; the clean one moves running statistics (E3)."""
        inputs = {"normal": views.normal}
        if views.masked is not None:
            inputs["masked"] = views.masked.shown
        if views.mixed is not None:
            inputs["mixed"] = views.mixed.batch
        if views.extreme is not None:
            inputs["extreme"] = views.extreme.shown
            if views.extreme.replaced is not None:
                inputs["dropped"] = views.extreme.replaced
        prompts = [self._prompt(name) for name in inputs]
        encoded = self.encoder.encode_views(list(inputs.values()), prompts=prompts, clean=0)
        return dict(zip(inputs, encoded, strict=True))

    def _encode_predicted(self, batch: Batch) -> Encoded:
        return self.encoder.encode_views([batch], prompts=[self._prompt("predicted")], clean=-1)[0]

    def _prompt(self, view: str) -> Tensor | None:
        prompts: dict[str, Tensor] = dict(self.input_prompts)
        return prompts.get(view)

    def _student(self) -> nn.ModuleList:
        return nn.ModuleList([self.encoder, nn.ModuleDict({self.config.pooling: self.projector})])

    def _pool(self, encoded: Encoded) -> Float[Tensor, "N D"]:
        return self.encoder.pool(encoded, self.config.pooling)

    def _query(self, pooled: Float[Tensor, "N D"], generator: torch.Generator) -> Float[Tensor, "N P"]:
        if self.contrast_prompt is not None:
            pooled = self.contrast_prompt(pooled, generator)
        return functional.normalize(self.projector(pooled).float(), dim=1)

    def _predict(
        self, view: MaskedView, encoded: Encoded, generator: torch.Generator
    ) -> tuple[Batch, Float[Tensor, ""]]:
        """The view with its hidden joints predicted, and how wrong they are there."""
        whole = view.whole
        target = motion(whole) if self.config.target == "motion" else whole.joints
        hidden = rearrange(view.hidden, "N T M V -> N T M V 1").expand_as(target)
        scale = torch.ones_like(target[0, 0, 0, 0, 0])
        if self.config.error_unit == "relative":
            scale = torch.sqrt(masked_error(torch.zeros_like(target), target, hidden) + TINY_SQUARE)
        predicted = self._decode(encoded.sequence, encoded, target, generator)
        error = masked_error(predicted, target / scale, hidden)
        if self.config.predicted_gradient == "decoder" and self.config.weights.predicted_contrast:
            predicted = self._decode(encoded.sequence.detach(), encoded, target, generator)
        else:
            predicted = predicted.detach()
        return Batch(torch.where(hidden, predicted * scale, view.shown.joints), whole.present), error

    def _decode(
        self,
        sequence: Float[Tensor, "N P D"],
        encoded: Encoded,
        like: Float[Tensor, "N T M V C"],
        generator: torch.Generator,
    ) -> Float[Tensor, "N T M V C"]:
        assert self.decoder is not None
        if self.prediction_prompt is not None:
            sequence = self.prediction_prompt(sequence, generator)
        values: Tensor = self.decoder(sequence, encoded.seen)
        _, _, num_persons, num_joints, num_coordinates = like.shape
        return rearrange(
            values,
            "N P (S M V C) -> N (P S) M V C",
            M=num_persons,
            V=num_joints,
            C=num_coordinates,
        )

    def _dropped(
        self,
        view: ExtremeView,
        encoded: Encoded,
        queries: Tensors,
        key: Float[Tensor, "N P"],
        generator: torch.Generator,
    ) -> Float[Tensor, "N P"]:
        """The extreme view's query without the features that it relies on (METHOD B5)."""
        drop = self.config.drop
        if drop.kind == "input":
            agreement = (queries["extreme"] * key).sum()
            gradient = torch.autograd.grad(agreement, view.shown.joints, retain_graph=True)[0]
            scores = reduce(gradient * view.shown.joints.detach(), "N T M V C -> N V", "sum")
            rest = drop_joints(
                Batch(view.shown.joints.detach(), view.shown.present), scores, ratio=drop.ratio
            )
            pooled = self._pool(self.encoder.encode_views([rest], prompts=[None], clean=-1)[0])
        elif drop.kind == "threshold":
            factor = keep_entries(encoded.sequence, encoded.seen, threshold=drop.threshold)
            pooled = self._pool(Encoded(encoded.sequence * factor, encoded.seen))
        else:
            keep = keep_channels(encoded.sequence, encoded.seen, view.speed, config=drop, generator=generator)
            pooled = self._pool(encoded) * keep
        return self._query(pooled, generator)

    def _contrasts(
        self, queries: Tensors, key: Float[Tensor, "N P"], views: Views, weights: WeightsConfig, done: float
    ) -> Tensors:
        """Contrast and similarity of each view that has a key of its own."""
        config, queue = self.config, self.queue.keys
        terms: Tensors = {}
        similarities = []
        for view, term in _CONTRASTS.items():
            if view not in queries or not getattr(weights, term):
                continue
            wanted = key
            if view == "mixed" and views.mixed is not None:
                wanted = mixed_key(key, key[views.mixed.partner], views.mixed.share)
            positives = self._mined(queries, done) if view == "normal" else None
            terms[term] = info_nce(
                queries[view], wanted, queue, temperature=config.temperature, positives=positives
            )
            if weights.similarity:
                similarities.append(
                    similarity_error(queries[view], wanted, queue, **config.similarity.model_dump())
                )
        if similarities:
            terms["similarity"] = torch.stack(similarities).sum()
        return terms

    def _mined(self, queries: Tensors, done: float) -> Tensor | None:
        mining = self.config.mining
        if mining is None or done < mining.from_ratio:
            return None
        found = [
            nearest_in_queue(queries[name], self.queue.keys, top=mining.top)
            for name in _MINERS
            if name in queries
        ]
        return torch.stack(found).any(dim=0)

    def _follow(self, queries: Tensors, key: Float[Tensor, "N P"], weights: WeightsConfig) -> Tensors:
        """How far the harsher views are from the gentler ones that teach them (METHOD B6)."""
        teachers = {"extreme": "normal", "dropped": "normal" if self.config.teaching == "star" else "extreme"}
        return {
            view: distribution_error(
                queries[view], queries[teacher], key, self.queue.keys, temperature=self.config.temperature
            )
            for view, teacher in teachers.items()
            if view in queries and getattr(weights, view)
        }

    @torch.no_grad()
    def _metrics(self, terms: Tensors, normal: Encoded) -> Tensors:
        """Every term of the recipe, and two signs of collapse: spread, and how many directions are in use."""
        names = [name for name, weight in self.config.weights.model_dump().items() if weight]
        pooled = self._pool(normal).float()
        zero = pooled.new_zeros(())
        logged = {name: terms[name].detach() if name in terms else zero for name in names}
        centred = pooled - pooled.mean(dim=0)
        squares = torch.linalg.matrix_norm(centred) ** 2
        # (sum of eigenvalues)^2 / sum of their squares, by the Gram matrix.
        rank = squares**2 / (torch.linalg.matrix_norm(centred @ centred.mT) ** 2).clamp(min=TINY_SQUARE)
        return logged | {"spread": pooled.std(dim=0).mean(), "rank": rank}


def _prompted(config: MtmcConfig) -> list[str]:
    """The views with a prompt at the input. That of clean clips would be the bias of the first layer."""
    weights = config.weights
    asked = {
        "masked": weights.masked,
        "predicted": weights.predicted_contrast,
        "mixed": weights.mixed_contrast,
    }
    return [name for name, weight in asked.items() if weight and config.prompts]
