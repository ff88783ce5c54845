"""What an encoder is fed: which stream, how many frames, and where the origin lies."""

from pydantic import Field

from kinemask.section import Section
from kinemask.skeleton.batch import Batch, RaggedClips
from kinemask.skeleton.geometry import Origin, move_origin
from kinemask.skeleton.layout import Layout
from kinemask.skeleton.streams import Stream, to_stream


class InputConfig(Section):
    """Clips are moved so that `origin_joint` is the origin, cut or stretched to `num_frames`, streamed."""

    stream: Stream
    num_frames: int = Field(ge=2)
    origin: Origin
    origin_joint: str  # bodies differ: `misfit` tells whether one has it

    def misfit(self, layout: Layout) -> str | None:
        """Why this body cannot be fed, or None if it can."""
        if self.origin_joint not in layout.joints:
            return (
                f"inputs.origin_joint {self.origin_joint!r} is no joint of {layout.name}, "
                f"which has {', '.join(layout.joints)}"
            )
        if self.stream == "bone" and not layout.has_bones:
            return f"inputs.stream 'bone' is always zero for {layout.name}, whose only joint is its root"
        return None


def centre(clips: RaggedClips, *, config: InputConfig, layout: Layout) -> RaggedClips:
    """All clips of a storage, moved to the origin."""
    return move_origin(clips, joint=layout.index(config.origin_joint), origin=config.origin)


def as_input(batch: Batch, *, config: InputConfig, layout: Layout) -> Batch:
    """A view as the encoder sees it."""
    return to_stream(batch, config.stream, layout)
