"""What the name of a `.skeleton` file says."""

from kinemask.datasets.kinect.skeleton_name import SkeletonName, parse_name


def test_name_says_five_numbers() -> None:
    assert parse_name("S001C002P003R002A013") == SkeletonName(
        setup=1, camera=2, performer=3, replication=2, action=13
    )


def test_other_names_say_nothing() -> None:
    assert parse_name("S001C002P003R002A013.skeleton") is None
    assert parse_name("S001C002P003R002") is None
