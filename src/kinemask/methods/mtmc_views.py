"""The views of one step of mtmc, as its encoder is fed them (METHOD_MTMC B2 and B3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinemask.augment.mix import Mixed, mix
from kinemask.augment.views import ViewConfig, make_view
from kinemask.masking.features import frame_speed, replace_frame_joints
from kinemask.masking.motion_topology import draw_mask, hide
from kinemask.methods.base import Domain
from kinemask.methods.mtmc_config import MtmcConfig, WeightsConfig
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.inputs import InputConfig, as_input


@dataclass(frozen=True)
class MaskedView:
    """A view of which joints are hidden. `whole` is what it was before."""

    whole: Batch
    hidden: Bool[Tensor, "N T M V"]
    shown: Batch


@dataclass(frozen=True)
class ExtremeView:
    """A harshly changed view, and how fast the first person moves in it, in metres a frame.

    The speed is as often there as features are, P = T / stride times.
    """

    shown: Batch
    speed: Float[Tensor, "N P"]
    replaced: Batch | None  # with joints replaced frame by frame, where that is how features are dropped


@dataclass(frozen=True)
class Views:
    """What one step looks at; None is not needed."""

    normal: Batch
    key: Batch
    masked: MaskedView | None
    extreme: ExtremeView | None
    mixed: Mixed | None


@dataclass(frozen=True)
class ViewMaker:
    """Draws the views of a step."""

    config: MtmcConfig
    inputs: InputConfig
    domain: Domain
    stride: int  # frames that an element of the encoder's sequence stands for

    def make(
        self,
        clips: RaggedClips,
        *,
        weights: WeightsConfig,
        hidden_fill: Float[Tensor, " C"] | None,
        replaced_fill: Float[Tensor, " C"] | None,
        generator: torch.Generator,
    ) -> Views:
        """The views that terms of weight above 0 ask for. The fills stand where joints are taken away."""
        config = self.config
        normal = self._view(clips, config.normal_view, generator)
        key = self._view(clips, config.normal_view, generator)
        masked = extreme = mixed = None
        if weights.masked:
            masked = self._masked(clips, hidden_fill, generator)
        if weights.extreme or weights.dropped:
            extreme = self.draw_extreme(clips, generator, drops=weights.dropped > 0, fill=replaced_fill)
        if weights.mixed_contrast:
            assert config.mix is not None, "MtmcConfig refuses this"
            mixed = mix(normal, config=config.mix, layout=self.domain.layout, generator=generator)
            mixed = Mixed(self._streamed(mixed.batch), mixed.partner, mixed.share)
        return Views(self._streamed(normal), self._streamed(key), masked, extreme, mixed)

    def draw_masked(
        self, clips: RaggedClips, generator: torch.Generator
    ) -> tuple[Batch, Bool[Tensor, "N T M V"]]:
        """The view that is masked, in metres, and what is hidden of it."""
        view = self._view(clips, self.config.masked_view, generator)
        hidden = draw_mask(view, config=self.config.mask, layout=self.domain.layout, generator=generator)
        return view, hidden

    def draw_extreme(
        self,
        clips: RaggedClips,
        generator: torch.Generator,
        *,
        drops: bool,
        fill: Float[Tensor, " C"] | None,
    ) -> ExtremeView:
        """The extreme view, prepared for dropping what its input holds if `drops`."""
        view = self._view(clips, self.config.extreme_view, generator)
        shown, replaced = self._streamed(view), None
        if drops and self.config.drop.kind == "input":  # the gradient there says which joints are relied on
            shown = Batch(shown.joints.requires_grad_(), shown.present)
        if drops and fill is not None:
            ratio = self.config.drop.ratio
            replaced = replace_frame_joints(shown, ratio=ratio, fill=fill, generator=generator)
        return ExtremeView(shown, frame_speed(view, stride=self.stride), replaced)

    def _masked(
        self, clips: RaggedClips, fill: Float[Tensor, " C"] | None, generator: torch.Generator
    ) -> MaskedView:
        view, hidden = self.draw_masked(clips, generator)
        # Bones and motion are hidden as they are fed, as PCM3 does: with the joint that they belong to.
        whole = self._streamed(view)
        return MaskedView(whole, hidden, hide(whole, hidden, fill))

    def _view(self, clips: RaggedClips, config: ViewConfig, generator: torch.Generator) -> Batch:
        return make_view(
            clips,
            config=config,
            layout=self.domain.layout,
            symmetries=self.domain.symmetries,
            num_frames=self.inputs.num_frames,
            generator=generator,
        )

    def _streamed(self, view: Batch) -> Batch:
        return as_input(view, config=self.inputs, layout=self.domain.layout)
