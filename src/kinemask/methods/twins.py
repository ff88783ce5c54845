"""Contrast between performances: twins are clips of the same programme, done by somebody else.

Views damage one recording; here a simulator performs the same programme again, with another body, tempo,
amplitude, posture and sensor. What both performances share is the action.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from kinemask.augment.temporal import end_to_end
from kinemask.augment.views import ViewConfig, make_view
from kinemask.encoders.base import Encoded, Encoder
from kinemask.looks import ClipLook
from kinemask.masking.features import frame_speed, keep_channels
from kinemask.masking.motion_topology import draw_mask, hide
from kinemask.methods.base import Domain, Method, StepOutput
from kinemask.methods.decoder import FrameDecoder
from kinemask.methods.ema import keys_of, make_teacher, move_teacher
from kinemask.methods.queue import KeyQueue
from kinemask.methods.twins_config import SimulatedTwinsConfig, TwinsConfig
from kinemask.methods.twins_look import look_at_twins
from kinemask.objectives.contrastive import twin_error
from kinemask.objectives.reconstruction import masked_error
from kinemask.seeding import derive_seed
from kinemask.simulation.anatomy import Anatomy, anatomy_of
from kinemask.simulation.people import simulate
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.geometry import centre_batch
from kinemask.skeleton.inputs import InputConfig, as_input
from kinemask.skeleton.rest_pose import rest_pose

TINY_SQUARE = 1e-12  # a square micrometre: a body that does not move at all is not divided by zero


@dataclass(frozen=True)
class Twins:
    """Two clips of each of N programmes or recordings, in metres."""

    first: Batch
    second: Batch


class TwinContrast(Method):
    """The encoder and a projector; with a queue, a teacher that follows them makes its keys."""

    def __init__(self, *, config: TwinsConfig, encoder: Encoder, inputs: InputConfig, domain: Domain):
        super().__init__()
        self.config, self.inputs, self.domain = config, inputs, domain
        self.encoder = encoder
        self.rest = rest_pose(domain.layout, domain.rest)
        self._anatomy: Anatomy | None = None
        self.projectors = nn.ModuleDict(
            {
                pooling: nn.Sequential(
                    nn.Linear(encoder.pooled_width(pooling), config.projector_hidden),
                    nn.ReLU(),
                    nn.Linear(config.projector_hidden, config.projector_width),
                )
                for pooling in config.poolings
            }
        )
        self.decoder: FrameDecoder | None = None
        if config.prediction is not None:
            num_outputs = encoder.stride * domain.num_persons * domain.layout.num_joints * 3
            self.decoder = FrameDecoder(
                width=encoder.pooled_width(config.poolings[0]),
                config=config.prediction.decoder,
                num_outputs=num_outputs,
            )
        self.teacher: nn.ModuleList | None = None
        self.queues: nn.ModuleDict | None = None
        if config.queue_length:
            self.teacher = make_teacher(self._student())
            self.queues = nn.ModuleDict(
                {
                    pooling: KeyQueue(length=config.queue_length, width=config.projector_width)
                    for pooling in config.poolings
                }
            )
        self._keys: dict[str, Tensor] | None = None

    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        """How badly twins are told from all others, and how wrong what was hidden is predicted."""
        twins = self.draw(clips, generator, done)
        shown = [self._fed(one) for one in (twins.first, twins.second)]
        hidden = None
        if self.config.prediction is not None:
            hidden = draw_mask(
                twins.first,
                config=self.config.prediction.mask,
                layout=self.domain.layout,
                generator=generator,
            )
            shown.append(hide(shown[0], hidden, None))
        encoded = self.encoder.encode_views(shown, prompts=[None] * len(shown), clean=-1)
        first, second = (
            self._queries(one, view, generator)
            for one, view in zip(encoded[:2], (twins.first, twins.second), strict=True)
        )
        contrasts = [
            twin_error(
                first[pooling],
                second[pooling],
                self._queue_of(pooling).keys if self.queues is not None else None,
                temperature=self.config.temperature,
            )
            for pooling in self.config.poolings
        ]
        contrast, found = (torch.stack(terms).mean() for terms in zip(*contrasts, strict=True))
        terms = {"contrast": contrast.detach(), "found": found}
        loss = contrast
        if self.config.prediction is not None and hidden is not None:
            error = self._prediction_error(encoded[2], shown[0], hidden)
            loss = loss + self.config.prediction.weight * error
            terms["prediction"] = error.detach()
        if self.teacher is not None:
            self._keys = keys_of(self.teacher, shown[1])
        return StepOutput(loss, terms | self._spread(encoded[0]))

    def after_optimizer_step(self, step: int) -> None:
        """Move the teacher and enqueue its keys, only once the update is accepted."""
        if self.teacher is None:
            return
        move_teacher(self.teacher, self._student(), momentum=self.config.teacher_momentum)
        assert self._keys is not None, "after_optimizer_step follows training_step"
        for pooling, keys in self._keys.items():
            self._queue_of(pooling).push(keys)
        self._keys = None

    def look(
        self, clips: RaggedClips, names: Sequence[str], generator: torch.Generator
    ) -> tuple[ClipLook, ...]:
        """Simulated twins beside the recordings."""
        if self.config.simulated is None:
            return ()
        twins = self._simulated(self.config.simulated, generator)
        return look_at_twins(twins.first, twins.second, clips, names)

    @torch.no_grad()
    def draw(self, clips: RaggedClips, generator: torch.Generator, done: float) -> Twins:
        """The twins of a step: simulated ones, two views of each real clip, or both, as the time wants it."""
        config, found = self.config, []
        if config.simulated is not None and done < config.simulated.until:
            found.append(self._simulated(config.simulated, generator))
        if config.real is not None and done >= config.real.since:
            views = [self._view(clips, config.real.view, generator) for _ in range(2)]
            found.append(Twins(*views))
        return Twins(_joined([one.first for one in found]), _joined([one.second for one in found]))

    def _simulated(self, config: SimulatedTwinsConfig, generator: torch.Generator) -> Twins:
        if config.pool is not None:
            assert config.num_blocks is not None
            drawn = torch.randint(config.num_blocks, (), generator=generator, device=generator.device)
            block = derive_seed(config.pool.seed, "pool", int(drawn))
            chance = torch.Generator(generator.device).manual_seed(block)
        else:
            chance = generator
        batch = simulate(
            config.programmes,
            2,
            config=config.people,
            anatomy=self._anatomy_on(generator.device),
            num_persons=self.domain.num_persons,
            num_frames=self.inputs.num_frames,
            may_mirror="mirror" in self.domain.symmetries,
            generator=chance,
        )
        joint = self.domain.layout.index(self.inputs.origin_joint)
        batch = centre_batch(batch, joint=joint, origin=self.inputs.origin)
        if self.config.view is not None:
            batch = self._view(end_to_end(batch), self.config.view, generator)
        return Twins(*(Batch(batch.joints[place::2], batch.present[place::2]) for place in range(2)))

    def _view(self, clips: RaggedClips, config: ViewConfig, generator: torch.Generator) -> Batch:
        return make_view(
            clips,
            config=config,
            layout=self.domain.layout,
            symmetries=self.domain.symmetries,
            num_frames=self.inputs.num_frames,
            generator=generator,
        )

    def _anatomy_on(self, device: torch.device) -> Anatomy:
        if self._anatomy is None or self._anatomy.offsets.device != device:
            self._anatomy = anatomy_of(self.rest, device)
        return self._anatomy

    def _fed(self, batch: Batch) -> Batch:
        return as_input(batch, config=self.inputs, layout=self.domain.layout)

    def _queries(
        self, encoded: Encoded, view: Batch, generator: torch.Generator
    ) -> dict[str, Float[Tensor, "N P"]]:
        """Of each pooling, of length one."""
        kept: Tensor | float = 1.0
        if self.config.drop is not None:
            speed = frame_speed(view, stride=self.encoder.stride)
            kept = keep_channels(
                encoded.sequence, encoded.seen, speed, config=self.config.drop, generator=generator
            )
        return {
            pooling: functional.normalize(
                projector(self.encoder.pool(encoded, pooling) * kept).float(), dim=1
            )
            for pooling, projector in self.projectors.items()
        }

    def _prediction_error(
        self, encoded: Encoded, whole: Batch, hidden: Bool[Tensor, "N T M V"]
    ) -> Float[Tensor, ""]:
        """The mean squared error of what is hidden, as a share of that of predicting zero."""
        assert self.decoder is not None
        num_persons, num_joints = whole.joints.shape[2:4]
        values: Tensor = self.decoder(encoded.sequence, encoded.seen)
        predicted = rearrange(
            values, "N P (S M V C) -> N (P S) M V C", M=num_persons, V=num_joints, C=whole.joints.shape[-1]
        )
        places = rearrange(hidden, "N T M V -> N T M V 1").expand_as(predicted)
        nothing = masked_error(torch.zeros_like(whole.joints), whole.joints, places)
        return masked_error(predicted, whole.joints, places) / (nothing + TINY_SQUARE)

    @torch.no_grad()
    def _spread(self, encoded: Encoded) -> dict[str, Tensor]:
        """A sign of collapse: how far the features of different clips are apart."""
        return {"spread": self.encoder.pool(encoded, self.config.poolings[0]).float().std(dim=0).mean()}

    def _queue_of(self, pooling: str) -> KeyQueue:
        assert self.queues is not None
        queue = self.queues[pooling]
        assert isinstance(queue, KeyQueue)
        return queue

    def _student(self) -> nn.ModuleList:
        return nn.ModuleList([self.encoder, self.projectors])


def _joined(batches: list[Batch]) -> Batch:
    return Batch(torch.cat([one.joints for one in batches]), torch.cat([one.present for one in batches]))
