import pytest

from kinemask.skeleton.layout import KINECT25, LAYOUTS


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
