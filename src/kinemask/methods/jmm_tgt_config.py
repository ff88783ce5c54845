"""The section of params.yaml that says what jmm_tgt is; MAMP and SkeletonMAE are other settings of it."""

from typing import Annotated, Literal

from pydantic import Field

from kinemask.augment.views import ViewConfig
from kinemask.encoders import EncoderConfig
from kinemask.masking.joint_motion import JointMotionMaskConfig
from kinemask.methods.decoder import DecoderConfig
from kinemask.methods.token_decoder import TokenDecoderConfig
from kinemask.section import Section
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import Layout


class FrameTokensConfig(DecoderConfig):
    """The decoder behind a recurrent encoder: it predicts frames, which are cut into tokens afterwards."""

    name: Literal["frames"]
    frames_per_token: int = Field(ge=1)

    def misfit(self, num_frames: int) -> str | None:
        """Why clips of that length cannot be cut into tokens, or None if they can."""
        if num_frames % self.frames_per_token:
            return (
                f"num_frames {num_frames} is no multiple of decoder.frames_per_token {self.frames_per_token}"
            )
        return None


class JmmTgtConfig(Section):
    """View, mask, what is predicted of the hidden tokens, and the decoder that fits the encoder."""

    name: Literal["jmm_tgt"]
    view: ViewConfig
    mask: JointMotionMaskConfig
    target: Literal["motion", "coordinates"]
    normalise: bool  # each token of the target by its own mean and spread
    decoder: Annotated[TokenDecoderConfig | FrameTokensConfig, Field(discriminator="name")]

    def misfit(self, inputs: InputConfig, encoder: EncoderConfig) -> str | None:
        """Why this method cannot run on that input or encoder, or None if it can."""
        if inputs.stream != "joint":
            return f"jmm_tgt hides and predicts joints, found inputs.stream {inputs.stream!r}: use joint"
        if encoder.name == "coordinates":
            return f"jmm_tgt trains an encoder, and {encoder.name!r} has nothing to train: use transformer"
        wanted = "tokens" if encoder.name == "transformer" else "frames"
        if self.decoder.name != wanted:
            return f"decoder {self.decoder.name!r} does not stand behind {encoder.name!r}: use {wanted!r}"
        if encoder.name == "gru" and encoder.input_norm == "batch":
            # Its statistics would be those of clips of which nearly everything is hidden (trap E3).
            return "no view of jmm_tgt is clean enough for encoder.input_norm 'batch': use none"
        if isinstance(self.decoder, FrameTokensConfig):
            return self.decoder.misfit(inputs.num_frames)
        return None

    def misfit_body(self, layout: Layout) -> str | None:
        """Every body will do. The mask counts tokens, too few only in clips of hardly any frames."""
        return None
