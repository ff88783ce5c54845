"""Pictures of two joints, four frames and three channels, checked cell by cell."""

import re
import xml.etree.ElementTree as ElementTree

from kinemask.looks import ClipLook, DropLook, Looks, MaskLook
from kinemask.pictures import pictures, standalone_svg
from kinemask.skeleton.layout import KINECT25
from tests.test_looks import LOOKS


def boxes(marks: str, variable: str) -> list[tuple[float, ...]]:
    """(x, y, width, height) of the boxes in that colour."""
    paths = re.findall(rf'<path d="([^"]+)" style="fill:var\(--{variable},', marks)
    return [
        tuple(map(float, box))
        for path in paths
        for box in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path)
    ]


def test_hidden_cells_stand_at_their_joint_and_frames():
    hidden = pictures(LOOKS, LOOKS.clips[0])[0]
    # Cells are 224 / 4 = 56 wide and begin at 72; a part's name takes 11, a joint 9, a gap 3.
    assert boxes(hidden.marks, "series-0") == [(72, 11, 112, 8)]
    assert boxes(hidden.marks, "grid") == [(184, 11, 112, 8), (72, 34, 112, 8)]
    texts = ["trunk", "arm", "head", "hand", "0", "2", "4", "frame"]
    assert re.findall(r">([^<]+)</text>", hidden.marks) == texts
    assert hidden.alt.endswith("Share of each part: trunk 50%, arm 0%.")


def test_shades_are_the_intensity_and_numbers_the_weight():
    motion = pictures(LOOKS, LOOKS.clips[0])[1]
    assert re.findall(r'fill-opacity="([\d.]+)"', motion.marks) == ["0.5", "0.25", "0.12", "0"]
    assert re.findall(r">(\d+)</text>", motion.marks)[:4] == ["75", "50", "25", "50"]
    assert motion.alt.endswith("trunk 0.75, arm 0.12.")


def test_dropped_channels_come_first_and_the_tallest_bar_is_the_highest_score():
    (dropped,) = pictures(LOOKS, LOOKS.clips[1])
    # Each bar is 224 / 3 wide and stands on 56; 2 + 54 (0.65 - 0.625) / 0.125 = 12.8 tall, the lowest 2.
    assert 'd="M72 56V0H146.67V56z" style="fill:var(--series-0,' in dropped.marks
    assert 'd="M146.67 56V43.2H221.33V54H296V56z" style="fill:var(--grid,' in dropped.marks
    assert "1 of 3 channels" in dropped.caption
    assert "scores from 0.75 to 0.625" in dropped.alt


def test_channels_dropped_by_chance_are_a_strip():
    drop = DropLook(kind="random", dropped=(False, True, True), score=None)
    (strip,) = pictures(LOOKS, ClipLook(clip="a", mask=None, drop=drop))
    assert boxes(strip.marks, "series-0") == [(100, 0, 200, 18)]
    assert strip.caption == "Dropped: 2 of 3 channels of the extreme view's feature, by chance."


def test_a_file_of_its_own_needs_no_page_and_takes_names_as_they_are():
    looks = LOOKS.model_copy(update={"joints": ("<head>", "a&b")})
    text = standalone_svg(looks, LOOKS.clips[0].model_copy(update={"clip": "<wave>"}))
    assert "var(" not in text
    root = ElementTree.fromstring(text)
    assert root.find("{http://www.w3.org/2000/svg}title").text == "<wave>"
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<head>", "a&b"} < set(texts)


def test_three_clips_of_the_largest_recipe_take_less_than_forty_kilobytes():
    hidden = tuple(("#" * 8 + "." * 8) * 4 for _ in KINECT25.joints)
    parts = tuple((0.1234, 0.2, 0.3, 0.4, 1.0) for _ in range(8))
    mask = MaskLook(hidden=hidden, intensity=parts, weight=parts)
    drop = DropLook(
        kind="trajectory",
        dropped=tuple(channel < 410 for channel in range(2048)),
        score=tuple(1 - channel / 7000 for channel in range(2048)),
    )
    looks = Looks(seed=0, joints=KINECT25.joints, parts=KINECT25.parts, clips=())
    found = pictures(looks, ClipLook(clip="S001C001P001R001A001", mask=mask, drop=drop))
    assert 3 * sum(len(one.svg()) + len(one.alt) + len(one.caption) for one in found) < 40_000
