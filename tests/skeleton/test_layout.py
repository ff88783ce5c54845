import json
from dataclasses import asdict, replace

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from kinemask.skeleton.body import BodyConfig
from kinemask.skeleton.inputs import InputConfig
from kinemask.skeleton.layout import KINECT25, LAYOUTS, Layout
from kinemask.skeleton.streams import bones


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_parts_partition_the_joints(layout):
    assert sorted(joint for part in layout.parts.values() for joint in part) == list(range(layout.num_joints))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_every_joint_reaches_the_root(layout):
    for joint in range(layout.num_joints):
        for _ in range(layout.num_joints):
            joint = layout.parents[joint]
        assert joint == layout.root


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_mirroring_twice_is_identity_and_swaps_left_with_right(layout):
    for joint, other in enumerate(layout.mirrored):
        assert layout.mirrored[other] == joint
        swapped = layout.joints[joint].replace("left", "?").replace("right", "left").replace("?", "right")
        assert layout.joints[other] == swapped


def test_kinect_joints_have_the_numbers_of_the_sensor():
    named = {
        "spine_base": 0,
        "head": 3,
        "left_hand": 7,
        "right_shoulder": 8,
        "left_foot": 15,
        "spine_shoulder": 20,
    }
    assert {name: KINECT25.index(name) for name in named} == named
    assert KINECT25.root == 20
    assert KINECT25.part("right_arm") == (8, 9, 10, 11, 23, 24)


def test_unknown_joint_or_part_lists_those_that_exist():
    with pytest.raises(KeyError, match="no joint 'tail'; it has spine_base"):
        KINECT25.index("tail")
    with pytest.raises(KeyError, match="no part 'wing'; it has trunk, left_arm"):
        KINECT25.part("wing")


THREE = Layout("three", ("hip", "left", "right"), (0, 0, 0), {"low": (0,), "high": (1, 2)}, (0, 2, 1))


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), THREE], ids=lambda layout: layout.name)
def test_a_layout_comes_back_whole_from_json(layout):
    stored = json.dumps(asdict(layout))
    assert TypeAdapter(Layout).validate_json(stored, strict=True) == layout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"joints": ("hip", "hip", "right")}, "three lists twice hip"),
        ({"parents": (0, 0)}, "3, 2 and 3 joints, parents and mirrored"),
        ({"parents": (0, 0, 3)}, r"joints 0 to 2, found \[0, 1, 2, 3\]"),
        ({"parents": (0, 1, 0)}, r"has 2 roots \(hip, left\)"),
        ({"parents": (1, 2, 0)}, "has 0 roots"),
        ({"parents": (0, 2, 1)}, "has a circle of parents at left, right"),
        ({"parts": {"low": (0,)}}, "puts into no part left, right"),
        ({"parts": {"low": (0, 1), "high": (1, 2)}}, "puts twice into parts left"),
        ({"parts": {"low": (0,), "high": (1, 2), "tail": ()}}, "three has no joint in tail"),
        ({"mirrored": (1, 2, 0)}, "mirrors to another joint than back"),
    ],
)
def test_what_is_no_body_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        replace(THREE, **change)
    with pytest.raises(ValidationError, match=said):
        TypeAdapter(Layout).validate_json(json.dumps(asdict(THREE) | change))


BODY = {
    "name": "three",
    "joints": ["hip", "left", "right"],
    "parents": {"left": "hip", "right": "hip"},
    "parts": {"high": ["right", "left"], "low": ["hip"]},
    "mirrored": [["left", "right"]],
}


def test_a_body_of_params_is_a_layout_whose_parts_have_the_order_of_the_joints():
    layout = BodyConfig.model_validate_json(json.dumps(BODY)).layout()
    assert layout == THREE
    assert list(layout.parts) == ["low", "high"]  # DVC does not see the order of keys: it must change nothing


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parents": {"left": "hip", "right": "hop"}}, "parents names hop, which joints does not list"),
        ({"parents": {"left": "hip"}}, "2 joints without a parent: hip, right; expected one, the root"),
        ({"parents": {"left": "right", "right": "left", "hip": "left"}}, "0 joints without a parent"),
        ({"parents": {"left": "right", "right": "left"}}, "circle of parents at left, right"),
        ({"parts": {"low": ["hip"], "high": ["left", "tail"]}}, "parts.high names tail"),
        ({"parts": {"low": ["hip"], "high": ["left"]}}, "puts into no part right"),
        ({"mirrored": [["left", "rihgt"]]}, "mirrored names rihgt"),
        ({"mirrored": [["left", "right"], ["left", "hip"]]}, "mirrored names left more than once"),
        ({"joints": ["hip", "left", "right", "left"]}, "lists twice left"),
    ],
)
def test_a_wrong_body_is_refused_by_the_names_of_its_joints(change, said):
    with pytest.raises(ValidationError, match=said):
        BodyConfig.model_validate_json(json.dumps(BODY | change))


def test_inputs_fit_the_bodies_that_have_their_joint():
    inputs = InputConfig(stream="joint", num_frames=8, origin="first_frame", origin_joint="spine_mid")
    assert inputs.misfit(KINECT25) is None
    expected = "inputs.origin_joint 'spine_mid' is no joint of three, which has hip, left, right"
    assert inputs.misfit(THREE) == expected


POINT = Layout("point", ("hip",), (0,), {"all": (0,)}, (0,))


def test_a_body_of_one_joint_has_no_bones_and_is_refused_that_stream():
    bones = InputConfig(stream="bone", num_frames=8, origin="first_frame", origin_joint="hip")
    assert (POINT.edges, POINT.degrees, POINT.part_neighbours) == ((), (0,), ((),))
    assert not POINT.has_bones
    assert (
        bones.misfit(POINT) == "inputs.stream 'bone' is always zero for point, whose only joint is its root"
    )
    assert bones.model_copy(update={"stream": "motion"}).misfit(POINT) is None
    assert THREE.has_bones
    assert bones.misfit(THREE) is None


def test_degrees_of_the_kinect_body_are_those_of_its_bone_list():
    # METHOD B1, the tree edges as written there: an independent count.
    listed = (
        "0-1,1-20,20-2,2-3,20-4,4-5,5-6,6-7,7-22,22-21,20-8,8-9,9-10,10-11,11-24,24-23,"
        "0-12,12-13,13-14,14-15,0-16,16-17,17-18,18-19"
    )
    edges = [tuple(int(end) for end in edge.split("-")) for edge in listed.split(",")]
    assert {frozenset(edge) for edge in KINECT25.edges} == {frozenset(edge) for edge in edges}
    assert len(KINECT25.edges) == len(edges) == 24
    assert KINECT25.degrees == tuple(sum(joint in edge for edge in edges) for joint in range(25))


@pytest.mark.parametrize("thumb", ["left_thumb", "right_thumb"])
def test_a_lost_thumb_changes_its_own_bone_and_that_of_the_hand_tip(thumb):  # trap E22
    whole = torch.arange(75.0).reshape(1, 25, 3)
    lost = whole.clone()
    lost[:, KINECT25.index(thumb)] = 0
    changed = (bones(whole, KINECT25.parents) != bones(lost, KINECT25.parents)).any(dim=2)[0]
    tip = thumb.replace("thumb", "hand_tip")
    assert {KINECT25.joints[joint] for joint in changed.nonzero().flatten().tolist()} == {thumb, tip}


def test_the_trunk_neighbours_every_limb_and_a_limb_only_the_trunk():
    assert KINECT25.part_neighbours == ((1, 2, 3, 4), (0,), (0,), (0,), (0,))
    chain = Layout(
        "chain", ("a", "b", "c", "d"), (0, 0, 1, 2), {"p": (0,), "q": (3,), "r": (1, 2)}, (0, 1, 2, 3)
    )
    assert chain.degrees == (1, 2, 2, 1)
    assert chain.part_neighbours == ((2,), (2,), (0, 1))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_a_part_named_for_a_side_holds_no_joint_of_the_other(layout):
    # Trap E17: the ancestors' "left_hand" is the right arm of the Kinect body.
    for name, joints in layout.parts.items():
        for side, other in (("left", "right"), ("right", "left")):
            if name.startswith(side):
                assert not [joint for joint in joints if layout.joints[joint].startswith(other)]
                assert any(layout.joints[joint].startswith(side) for joint in joints)
