import numpy as np
import pytest

from kinemask.datasets.own.bvh import layout_of, read_bvh
from kinemask.datasets.reader import DamagedError

ARM = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition %s
  JOINT LeftArm {
    OFFSET 1 0 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 2 0
    }
  }
}
MOTION
Frames: 1
Frame Time: .0333
%s
"""


def arm(turns: str, values: str) -> bytes:
    return (ARM % (turns, values)).encode()


def places(turns: str, values: str) -> list[list[float]]:
    return read_bvh(arm(turns, values)).positions()[0].round(6).tolist()


def test_a_file_without_turns_stands_as_its_offsets_say():
    found = read_bvh(arm("Zrotation Xrotation Yrotation", "5 6 7 0 0 0 0 0 0"))
    assert found.names == ("Hips", "LeftArm", "LeftArm_end")
    assert found.positions()[0].tolist() == [[5, 6, 7], [6, 6, 7], [6, 8, 7]]


def test_a_turn_moves_what_hangs_below_it():
    # A quarter about z takes x to y: the arm points up, and its end, two along its own y, to -x.
    assert places("Zrotation Xrotation Yrotation", "0 0 0 90 0 0 0 0 0") == [[0, 0, 0], [0, 1, 0], [-2, 1, 0]]
    # At the arm instead, only its end moves: from (1, 2, 0) to (1 - 2, 0, 0).
    assert places("Zrotation Xrotation Yrotation", "0 0 0 0 0 0 90 0 0") == [[0, 0, 0], [1, 0, 0], [-1, 0, 0]]


def test_turns_are_applied_in_the_order_of_the_channels():
    # Z then X, v' = Z X v: x is left alone by X, and Z takes it to y.
    assert places("Zrotation Xrotation Yrotation", "0 0 0 90 90 0 0 0 0")[1] == [0, 1, 0]
    # X then Z, v' = X Z v: Z takes x to y, and X takes y to z.
    assert places("Xrotation Zrotation Yrotation", "0 0 0 90 90 0 0 0 0")[1] == [0, 0, 1]


def test_channels_may_stand_in_any_order():
    text = arm("Zrotation Xrotation Yrotation", "90 1 2 3 0 0 0 0 0").decode()
    shuffled = text.replace(
        "CHANNELS 6 Xposition Yposition Zposition Zrotation",
        "CHANNELS 6 Zrotation Xposition Yposition Zposition",
    )
    assert read_bvh(shuffled.encode()).positions()[0].round(6).tolist() == [[1, 2, 3], [1, 3, 3], [-1, 3, 3]]


def test_a_position_channel_stands_for_its_part_of_the_offset():
    text = arm("Zrotation Xrotation Yrotation", "0 0 0 0 0 0 4").decode()
    moved = text.replace("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS 1 Xposition")
    assert read_bvh(moved.encode()).positions()[0, 1].tolist() == [4, 0, 0]


def test_bones_keep_their_length_whatever_the_turns():
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = " ".join(f"{value:.4f}" for value in rng.uniform(-180, 180, 9))
        found = np.array(places("Yrotation Zrotation Xrotation", values))
        np.testing.assert_allclose(np.linalg.norm(np.diff(found, axis=0), axis=1), [1, 2], atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("HIERARCHY", "HIERARCHIE", "one HIERARCHY and one MOTION"),
        ("MOTION", "", "one HIERARCHY and one MOTION"),
        ("Frames: 1", "Frames: 2", "2 frames are announced, the file has 1"),
        ("Frames: 1", "Frame: 1", "`Frames:` and `Frame Time:`"),
        ("1 2 3 0 0 0 0 0 0", "1 2 3 0 0 0 0 0", "line 18: 8 values, expected 9"),
        ("1 2 3 0 0 0 0 0 0", "1 2 x 0 0 0 0 0 0", "line 18: could not convert"),
        ("1 2 3 0 0 0 0 0 0", "1 2 nan 0 0 0 0 0 0", "expected 9 finite"),
        ("OFFSET 1 0 0", "OFFSET 1 0", "line 7: 2 values, expected 3"),
        ("CHANNELS 3 Z", "CHANNELS 2 Z", "line 8: CHANNELS"),
        ("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation", "line 8: CHANNELS"),
        ("CHANNELS 3 Zrotation Xrotation Yrotation", "CHANNELS", "line 8: CHANNELS"),
        ("JOINT LeftArm", "JOINT Hips", "line 6: a second joint is named 'Hips'"),
        ("JOINT LeftArm", "ROOT LeftArm", "line 6: 'ROOT LeftArm': one ROOT is expected"),
        ("  }\n}\nMOTION", "  }\nMOTION", "braces do not close"),
        ("    OFFSET 1 0 0", "    OFFST 1 0 0", "line 7: 'OFFST 1 0 0' is not expected"),
    ],
)
def test_a_damaged_file_is_named_by_line_and_reason(old, new, said):
    text = arm("Zrotation Xrotation Yrotation", "1 2 3 0 0 0 0 0 0").decode()
    assert old in text
    with pytest.raises(DamagedError, match=said):
        read_bvh(text.replace(old, new, 1).encode())


def tree_of(*joints: tuple[str, str]) -> str:
    """A file from pairs of name and parent, depth first."""
    children = {name: [one for one, parent in joints if parent == name] for name, _ in joints}

    def write(name: str, word: str) -> str:
        below = "".join(write(child, "JOINT") for child in children[name])
        below = below or "End Site\n{\nOFFSET 0 1 0\n}\n"
        return f"{word} {name}\n{{\nOFFSET 0 1 0\nCHANNELS 1 Xrotation\n{below}}}\n"

    motion = f"MOTION\nFrames: 1\nFrame Time: 1\n{' 0' * len(joints)}\n"
    return f"HIERARCHY\n{write(joints[0][0], 'ROOT')}{motion}"


@pytest.mark.parametrize(
    ("left", "right"), [("Left{}", "Right{}"), ("L{}", "R{}"), ("{}.L", "{}.R"), ("{}_left", "{}_right")]
)
def test_a_body_is_made_of_a_tree_by_the_sides_in_its_names(left, right):
    names = [("Hips", ""), ("LowerBack", "Hips"), ("Head", "LowerBack")]
    for side in (left, right):
        names += [(side.format("Arm"), "LowerBack"), (side.format("Hand"), side.format("Arm"))]
        names += [(side.format("Leg"), "Hips")]
    layout = layout_of(read_bvh(tree_of(*names).encode()).tree, "mocap")
    assert sorted(layout.joints) == sorted(name for name, _ in names)  # no End Sites
    called = {part: {layout.joints[joint] for joint in joints} for part, joints in layout.parts.items()}
    assert called["trunk"] == {"Hips", "LowerBack", "Head"}
    assert called[left.format("Arm")] == {left.format("Arm"), left.format("Hand")}
    assert called[right.format("Leg")] == {right.format("Leg")}
    assert len(called) == 5
    other = layout.mirrored[layout.index(left.format("Hand"))]
    assert layout.joints[other] == right.format("Hand")
    assert layout.joints[layout.root] == "Hips"
