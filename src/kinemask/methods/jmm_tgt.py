"""Joint motion masking with a topology-guided transformer, after Wen et al. 2025.

What the paper leaves open is settled in METHOD_JMM_TGT.md, whose sections the comments name. Without
similarity in the mask and topology in the encoder it is MAMP (Mao et al. 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from kinemask.augment.views import make_view
from kinemask.encoders.base import Encoder
from kinemask.encoders.tokens import PersonRows, person_rows, to_tokens
from kinemask.encoders.transformer import TransformerEncoder
from kinemask.looks import ClipLook
from kinemask.masking.joint_motion import draw_visible, hiding_chances, hiding_weights
from kinemask.masking.motion_topology import hide
from kinemask.methods.base import Domain, Method, StepOutput
from kinemask.methods.decoder import FrameDecoder
from kinemask.methods.jmm_look import look_at
from kinemask.methods.jmm_tgt_config import FrameTokensConfig, JmmTgtConfig
from kinemask.methods.token_decoder import TokenDecoder
from kinemask.objectives.reconstruction import masked_error
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.streams import motion

TINY_VARIANCE = 1e-6  # what section 4 adds: a millimetre a frame, squared


@dataclass(frozen=True)
class MaskedView:
    """A view, in metres, the rows of its persons, and what of them is visible and what must be predicted."""

    whole: Batch
    rows: PersonRows
    visible: Int[Tensor, "R K"]
    hidden: Bool[Tensor, "R P V"]  # only where the person is present


class JmmTgt(Method):
    """The encoder sees the visible tokens of each person, the decoder predicts how the hidden ones move."""

    def __init__(self, *, config: JmmTgtConfig, encoder: Encoder, inputs: InputConfig, domain: Domain):
        super().__init__()
        self.config, self.inputs, self.domain = config, inputs, domain
        self.encoder = encoder
        num_joints = domain.layout.num_joints
        self.decoder: TokenDecoder | FrameDecoder
        if isinstance(config.decoder, FrameTokensConfig):
            self.frames = config.decoder.frames_per_token
            num_outputs = domain.num_persons * num_joints * 3
            width = encoder.pooled_width("mean")
            self.decoder = FrameDecoder(width=width, config=config.decoder, num_outputs=num_outputs)
        else:
            assert isinstance(encoder, TransformerEncoder), "JmmTgtConfig.misfit refuses others"
            self.frames = encoder.frames_per_token
            self.decoder = TokenDecoder(
                width=encoder.pooled_width("mean"),
                config=config.decoder,
                num_times=inputs.num_frames // self.frames,
                num_joints=num_joints,
                num_outputs=3 * self.frames,
            )
        if problem := config.mask.misfit(inputs.num_frames // self.frames * num_joints):
            raise ValueError(problem)

    def training_step(self, clips: RaggedClips, generator: torch.Generator, done: float) -> StepOutput:
        """Mean squared error of the hidden tokens of present persons; `nothing` is that of predicting 0."""
        masked = self.draw_masked(clips, generator)
        target = self.target(masked)
        is_transformer = isinstance(self.decoder, TokenDecoder)
        predicted = self._predict_tokens(masked) if is_transformer else self._predict_frames(masked)
        hidden = repeat(masked.hidden, "R P V -> R P V F", F=target.shape[-1])
        error = masked_error(predicted, target, hidden)
        nothing = masked_error(torch.zeros_like(target), target, hidden)
        return StepOutput(error, {"prediction": error.detach(), "nothing": nothing})

    def look(
        self, clips: RaggedClips, names: Sequence[str], generator: torch.Generator
    ) -> tuple[ClipLook, ...]:
        """The masked view."""
        masked = self.draw_masked(clips, generator)
        tokens, mask = to_tokens(masked.rows.joints, frames=self.frames), self.config.mask
        weights = hiding_weights(tokens, config=mask, present=masked.rows.complete)
        chances = hiding_chances(weights, temperature=mask.temperature)
        odds = rearrange(chances, "R (P V) -> R P V", V=tokens.shape[2])
        return look_at(
            masked.whole,
            self._hidden_joints(masked)[:, :, 0],
            masked.rows.spread(odds)[:, 0],
            names=names,
            layout=self.domain.layout,
        )

    @torch.no_grad()
    def draw_masked(self, clips: RaggedClips, generator: torch.Generator) -> MaskedView:
        """A view of the clips, and which tokens of it are hidden: drawn on metres, before any embedding."""
        whole = make_view(
            clips,
            config=self.config.view,
            layout=self.domain.layout,
            symmetries=self.domain.symmetries,
            num_frames=self.inputs.num_frames,
            generator=generator,
        )
        rows = person_rows(whole, frames=self.frames)
        tokens = to_tokens(rows.joints, frames=self.frames)
        # By complete times: to who comes into view in the middle of one it would seem a leap of metres.
        visible = draw_visible(tokens, config=self.config.mask, generator=generator, present=rows.complete)
        num_rows, num_times, num_joints = tokens.shape[:3]
        is_hidden = torch.ones(num_rows, num_times * num_joints, dtype=torch.bool, device=tokens.device)
        hidden = rearrange(is_hidden.scatter(1, visible, False), "R (P V) -> R P V", V=num_joints)
        return MaskedView(whole, rows, visible, hidden & rearrange(rows.present, "R P -> R P 1"))

    @torch.no_grad()
    def target(self, masked: MaskedView) -> Float[Tensor, "R P V F"]:
        """What is predicted of every token (section 4): its motion to the next frame, or its coordinates."""
        whole = masked.whole
        values = motion(whole) if self.config.target == "motion" else whole.joints
        tokens = self._tokens(values, whole.present)
        return normalised(tokens) if self.config.normalise else tokens

    def _tokens(
        self, values: Float[Tensor, "N T M V C"], present: Bool[Tensor, "N T M"]
    ) -> Float[Tensor, "R P V F"]:
        return to_tokens(person_rows(Batch(values, present), frames=self.frames).joints, frames=self.frames)

    def _predict_tokens(self, masked: MaskedView) -> Float[Tensor, "R P V F"]:
        """The encoder is fed the visible tokens only."""
        assert isinstance(self.encoder, TransformerEncoder)
        assert isinstance(self.decoder, TokenDecoder)
        rows, visible = masked.rows, masked.visible
        tokens = self.encoder.embed_rows(rows)
        shown = tokens.gather(1, repeat(visible, "R K -> R K D", D=tokens.shape[-1]))
        present = repeat(rows.present, "R P -> R (P V)", V=self.domain.layout.num_joints)
        features = self.encoder.encode_tokens(shown, visible, present_keys=present.gather(1, visible))
        predicted: Tensor = self.decoder(features, visible, rows.present)
        return predicted

    def _predict_frames(self, masked: MaskedView) -> Float[Tensor, "R P V F"]:
        """A recurrent encoder is fed every frame, with zeros in place of what is hidden."""
        shown = hide(masked.whole, self._hidden_joints(masked), None)
        encoded = self.encoder(shown)
        values: Tensor = self.decoder(encoded.sequence, encoded.seen)
        num_joints = self.domain.layout.num_joints
        frames = rearrange(values, "N T (M V C) -> N T M V C", V=num_joints, C=3)
        return self._tokens(frames[:, :, : shown.joints.shape[2]], shown.present)

    def _hidden_joints(self, masked: MaskedView) -> Bool[Tensor, "N T M V"]:
        hidden = repeat(masked.rows.spread(masked.hidden), "N M P V -> N (P frames) M V", frames=self.frames)
        return hidden & rearrange(masked.whole.present, "N T M -> N T M 1")


def normalised(tokens: Float[Tensor, "R P V F"]) -> Float[Tensor, "R P V F"]:
    """Each token by its own mean and unbiased variance; one that holds a single value becomes zero."""
    variance, mean = torch.var_mean(tokens, dim=-1, keepdim=True)
    return (tokens - mean) / torch.sqrt(variance + TINY_VARIANCE)
