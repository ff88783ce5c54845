"""PKU-MMD's two phases: what their files are called, how their videos are named, what is known of them.

Liu et al., ACM MM workshop 2017. https://arxiv.org/abs/1703.07475 ; DATASETS.md sections 5 to 8.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

from kinemask.datasets.archives.gated import Gated, GatedFile
from kinemask.skeleton.layout import KINECT25

# The owners' names in the order of the labels: label 1 is "bow".
CLASS_NAMES = (
    "bow", "brushing hair", "brushing teeth", "check time (from watch)", "cheer up", "clapping",
    "cross hands in front (say stop)", "drink water", "drop", "eat meal/snack", "falling",
    "giving something to other person", "hand waving", "handshaking", "hopping (one foot jumping)",
    "hugging other person", "jump up", "kicking other person", "kicking something",
    "make a phone call/answer phone", "pat on back of other person", "pickup", "playing with phone/tablet",
    "point finger at the other person", "pointing to something with finger",
    "punching/slapping other person", "pushing other person", "put on a hat/cap",
    "put something inside pocket", "reading", "rub two hands together", "salute", "sitting down",
    "standing up", "take off a hat/cap", "take off glasses", "take off jacket",
    "take out something from pocket", "taking a selfie", "tear up paper", "throw", "touch back (backache)",
    "touch chest (stomachache/heart pain)", "touch head (headache)", "touch neck (neckache)",
    "typing on a keyboard", "use a fan (with hand or paper)/feeling warm", "wear jacket", "wear on glasses",
    "wipe face", "writing",
)  # fmt: skip

NUM_BODIES = 2
NUM_COLUMNS = NUM_BODIES * KINECT25.num_joints * 3  # of a line; what follows is an appendix of the owners
CAMERAS = {"L": 1, "M": 2, "R": 3}
PROTOCOLS = ("xsub", "xview")
# The trait that says in which list of a protocol's split file a video stands.
LISTS = {"xsub": "subject_list", "xview": "view_list"}


@dataclass(frozen=True, eq=False)  # each is the only one of its kind, and may be a key
class Phase:
    """One phase as its owners publish it."""

    title: str
    skeletons: str  # the archive, without .7z
    labels: str
    splits: Mapping[str, str]  # protocol -> its split file
    video: re.Pattern[str]  # its groups: what is the subject here, the camera
    subject_is: Literal["sequence", "subject"]  # Phase I does not say who acts
    grammar: str  # the same for people
    num_videos: int
    num_instances: int | None  # rows of all label files, where known
    num_classes: int  # that occur in the label files, of the 51
    # protocol -> videos to train on and to test on, where the files themselves were counted
    parts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def is_video(self, name: str) -> bool:
        """Whether this is the name of a video of this phase."""
        return self.video.fullmatch(name) is not None

    def subject_and_camera(self, video: str) -> tuple[int, int]:
        """Their numbers; where the subject is not known, that of the sequence."""
        parts = self.video.fullmatch(video)
        assert parts is not None, f"{video} is no video of {self.title}"
        return int(parts["subject"]), CAMERAS[parts["camera"]]


def sequence(video: str) -> str:
    """What the videos of one sequence from three cameras have in common."""
    return video.rpartition("-")[0]


def gated(phase: Phase) -> Gated:
    """The files of a phase, in all spellings."""
    archives = [GatedFile((f"{stem}.7z", f"{stem}.zip")) for stem in (phase.skeletons, phase.labels)]
    splits = [GatedFile(_spellings(file)) for file in phase.splits.values()]
    return Gated(
        title=phase.title,
        files=(*archives, *splits),
        ask="the STRUCT group of Peking University, https://www.icst.pku.edu.cn/struct/Projects/PKUMMD.html "
        "(mirror https://struct002.github.io/PKUMMD), which names whom to write to",
    )


def _spellings(name: str) -> tuple[str, ...]:
    """A name with underscores, with hyphens and with any mix of both; the first is the official one."""
    return tuple(name.replace("_", "{}").format(*mix) for mix in product("_-", repeat=name.count("_")))


PHASE1 = Phase(
    title="PKU-MMD I",
    skeletons="Skeleton",
    labels="Label_PKUMMD",
    splits={"xsub": "cross_subject.txt", "xview": "cross_view.txt"},
    video=re.compile(r"(?P<subject>\d{4})-(?P<camera>[LMR])", re.ASCII),
    subject_is="sequence",
    grammar="XXXX-V (0002-L)",
    num_videos=1076,
    num_instances=21_545,
    num_classes=51,
)

PHASE2 = Phase(
    title="PKU-MMD II",
    skeletons="Skeleton_v2",
    labels="Label_PKUMMD_v2",
    splits={"xsub": "cross_subject_v2.txt", "xview": "cross_view_v2.txt"},
    video=re.compile(r"A(?:0[1-9]|1\d|2[0-6])N(?P<subject>0[1-9]|1[0-3])-(?P<camera>[LMR])", re.ASCII),
    subject_is="subject",
    grammar="AxxNyy-V (A01N01-L)",
    num_videos=1009,
    num_instances=None,
    num_classes=41,
    parts={"xsub": (775, 234), "xview": (671, 338)},
)
