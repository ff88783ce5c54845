"""Pictures of two joints, four frames and three channels, checked cell by cell."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np

from kinemask.looks import AttentionLook, ClipLook, DropLook, HopBiasLook, Looks, MaskLook
from kinemask.pictures import attention_pictures, encoder_pictures, standalone_svg, step_pictures
from kinemask.pictures.confusion import confusion_picture
from kinemask.skeleton.layout import KINECT25
from tests.test_looks import ATTENDING, LOOKS, TWINNED


def boxes(marks: str, variable: str) -> list[tuple[float, ...]]:
    """(x, y, width, height) of the boxes in that colour."""
    paths = re.findall(rf'<path d="([^"]+)" style="fill:var\(--{variable},', marks)
    return [
        tuple(map(float, box))
        for path in paths
        for box in re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z", path)
    ]


def test_hidden_cells_stand_at_their_joint_and_frames():
    hidden = step_pictures(LOOKS, LOOKS.clips[0])[0]
    # Cells are 224 / 4 = 56 wide and begin at 72; a part's name takes 11, a joint 9, a gap 3.
    assert boxes(hidden.marks, "series-0") == [(72, 11, 112, 8)]
    assert boxes(hidden.marks, "grid") == [(184, 11, 112, 8), (72, 34, 112, 8)]
    texts = ["trunk", "arm", "head", "hand", "0", "2", "4", "frame"]
    assert re.findall(r">([^<]+)</text>", hidden.marks) == texts
    assert hidden.alt.endswith("Share of each part: trunk 50%, arm 0%.")


def test_shades_are_the_intensity_and_numbers_the_weight():
    motion = step_pictures(LOOKS, LOOKS.clips[0])[1]
    assert re.findall(r'fill-opacity="([\d.]+)"', motion.marks) == ["0.5", "0.25", "0.12", "0"]
    assert re.findall(r">(\d+)</text>", motion.marks)[:4] == ["75", "50", "25", "50"]
    assert motion.alt.endswith("trunk 0.75, arm 0.12.")


def test_dropped_channels_come_first_and_the_tallest_bar_is_the_highest_score():
    (dropped,) = step_pictures(LOOKS, LOOKS.clips[1])
    # Each bar is 224 / 3 wide and stands on 56; 2 + 54 (0.65 - 0.625) / 0.125 = 12.8 tall, the lowest 2.
    assert 'd="M72 56V0H146.67V56z" style="fill:var(--series-0,' in dropped.marks
    assert 'd="M146.67 56V43.2H221.33V54H296V56z" style="fill:var(--grid,' in dropped.marks
    assert "1 of 3 channels" in dropped.caption
    assert "scores from 0.75 to 0.625" in dropped.alt


def test_channels_dropped_by_chance_are_a_strip():
    drop = DropLook(kind="random", dropped=(False, True, True), score=None)
    (strip,) = step_pictures(LOOKS, ClipLook(clip="a", mask=None, drop=drop))
    assert boxes(strip.marks, "series-0") == [(100, 0, 200, 18)]
    assert strip.caption == "Dropped: 2 of 3 channels of the extreme view's feature, by chance."


def test_a_file_of_its_own_needs_no_page_and_takes_names_as_they_are():
    looks = LOOKS.model_copy(update={"joints": ("<head>", "a&b")})
    text = standalone_svg("<wave>", step_pictures(looks, LOOKS.clips[0]))
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
    found = step_pictures(looks, ClipLook(clip="S001C001P001R001A001", mask=mask, drop=drop))
    assert 3 * sum(len(one.svg()) + len(one.alt) + len(one.caption) for one in found) < 40_000


def circles(marks: str) -> list[tuple[str, float, float, float]]:
    """(colour, x, y, radius) in the order in which they are drawn."""
    found = re.findall(
        r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)" style="fill:var\(--series-(\d)', marks
    )
    return [(number, float(x), float(y), float(radius)) for x, y, radius, number in found]


def test_the_area_of_a_joint_is_its_share_and_the_body_stands_upright():
    (attention,) = attention_pictures(ATTENDING, ATTENDING.clips[0])
    # Two of three blocks, in halves of 150. The pose is 0.5 m square and becomes 110 wide: x from 20 to 130.
    first, last, legend = (
        circles(attention.marks)[:2],
        circles(attention.marks)[2:4],
        circles(attention.marks)[4:],
    )
    assert [one[:3] for one in first] == [("0", 20, 38), ("1", 130, 148)]  # last the joint that asks
    assert [one[:3] for one in last] == [("0", 170, 38), ("1", 280, 148)]  # the head is above
    for drawn, shares in ((first, (0.25, 0.75)), (last, (0.9, 0.1))):
        for (_, _, _, radius), share in zip(drawn, shares, strict=True):
            assert abs(radius**2 - 3.5**2 * 2 * share) < 0.1
    assert [radius for _, _, _, radius in legend] == [3.5, 3.5]
    assert "M20 38L130 148" in attention.marks
    texts = re.findall(r">([^<]+)</text>", attention.marks)
    assert texts[:3] == ["block 1", "hand 75.0%", "head 25.0%"]
    assert texts[-2:] == ["hand asks", "50.0%, an equal share"]


def test_what_a_joint_attends_to_is_told_in_numbers():
    (attention,) = attention_pictures(ATTENDING, ATTENDING.clips[0])
    assert attention.alt == (
        "Attention of hand in wave. Block 1: itself 75.0%; most hand 75.0%, head 25.0%; by part trunk 25.0%, "
        "arm 75.0%. Block 3: itself 10.0%; most head 90.0%, hand 10.0%; by part trunk 90.0%, arm 10.0%."
    )
    assert "the first and the last block" in attention.caption
    assert "frame 3" in attention.caption
    assert "in wave: what hand," in attention.caption


def test_a_single_block_is_drawn_once_and_a_body_without_extent_too():
    one = AttentionLook(joint=0, frame=0, pose=((0.5, 0.5),) * 2, shares=((0.5, 0.5),))
    clip = ATTENDING.clips[0].model_copy(update={"attention": one})
    (attention,) = attention_pictures(ATTENDING, clip)
    assert [found[1] for found in circles(attention.marks)[:2]] == [150, 150]
    assert "the only block" in attention.caption


def test_the_bias_has_a_cell_for_every_head_and_hop_in_the_colour_of_its_sign():
    (bias,) = encoder_pictures(ATTENDING)
    cells = re.findall(
        r'<path d="([^"]+)" style="fill:var\(--series-(\d),#\w+\)" fill-opacity="([\d.]+)"/>', bias.marks
    )
    at = {}
    for path, colour, opacity in cells:
        for x, y in re.findall(r"M([\d.]+) ([\d.]+)h", path):
            at[float(x), float(y)] = (colour, float(opacity))
    # Two hops, each 112 wide from 72 on; rows of 12 from 10 on, 5 between blocks. The largest is 0.5.
    assert at[72, 10] == ("0", 0.5)
    assert at[184, 10] == ("1", 0.25)
    assert at[72, 22][1] == 0.0
    assert at[184, 22] == ("0", 0.1)
    assert at[184, 39] == ("1", 0.5)
    assert len(at) == 8 + 5
    texts = re.findall(r">([^<]+)</text>", bias.marks)
    minus = "\N{MINUS SIGN}"
    numbers = ["0.50", f"{minus}0.25", "0", "0.10", "0", f"{minus}0.50", "0", "0.20"]
    scale = [f"{minus}0.50", f"{minus}0.25", "0", "0.25", "0.50"]
    heads = ["head 1", "head 2"]
    assert texts == ["block 1", "block 2", *heads, *heads, "0", "1", *numbers, *scale, "hops", "colours"]


def test_the_bias_is_told_in_numbers():
    (bias,) = encoder_pictures(ATTENDING)
    assert bias.alt == (
        "Topology bias of 2 blocks with 2 heads: smallest -0.50 in block 2, head 1, at 1 hops; largest 0.50 "
        "in block 1, head 1, at 0 hops. Means over heads: block 1: 0 hops 0.25, 1 hops -0.07; block 2: 0 "
        "hops 0.00, 1 hops -0.15."
    )
    assert "at most 2.12." in bias.caption  # e^(0.5 + 0.25)


def test_a_last_number_of_hops_that_stands_for_more_says_so_and_a_fresh_bias_is_blank():
    bias = HopBiasLook(blocks=(((0.0, 0.0),),), farthest=4)
    (fresh,) = encoder_pictures(ATTENDING.model_copy(update={"hop_bias": bias}))
    assert ">1+</text>" in fresh.marks
    assert "1+: 1 to 4." in fresh.caption
    assert "at most 1." in fresh.caption
    assert set(re.findall(r'fill-opacity="([\d.]+)"', fresh.marks)) == {"0"}


def test_the_largest_encoder_takes_less_than_sixty_kilobytes():
    row = tuple(-0.123 * hops for hops in range(9))
    bias = HopBiasLook(blocks=((row,) * 8,) * 8, farthest=12)
    (one,) = encoder_pictures(ATTENDING.model_copy(update={"hop_bias": bias}))
    assert len(one.svg()) + len(one.alt) + len(one.caption) < 60_000


def test_looks_without_attention_have_no_picture_of_it():
    assert encoder_pictures(LOOKS) == []
    assert attention_pictures(LOOKS, LOOKS.clips[0]) == []


def test_confusions_stand_in_rows_of_truth_and_columns_of_answers():
    picture = confusion_picture(
        np.array([[0.75, 0.25], [np.nan, np.nan]]),
        ["clap", "a very long name indeed"],
        title="C",
        caption="c",
    )
    # Two cells of 112: a share of 0.75 has the eighth of ten levels, of at most half the colour.
    found = re.findall(r'<path d="([^"]+)" fill-opacity="([\d.]+)" style="fill:var\(--(\S+?),', picture.marks)
    assert found == [
        ("M72 0h112v112h-112z", "0.4", "series-0"),
        ("M184 0h112v112h-112z", "0.15", "series-1"),
    ]
    assert re.findall(r">([^<]+)</text>", picture.marks) == [
        *("75", "25", "1 clap", "2 a very long n…", "1", "2", "answer")
    ]
    assert picture.alt == (
        "C: 75% of a class right in the mean. Most frequent mistakes: clap taken for a very long name indeed "
        "25%."
    )


def test_confusions_of_many_classes_stay_small():
    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.full(120, 0.01), 120)
    picture = confusion_picture(shares, [f"class {n}" for n in range(120)], title="C", caption="c")
    assert len(picture.svg()) < 35 * (shares >= 0.005).sum() < 50_000
    assert picture.marks.count("<path") <= 2 * 10 + 1
    assert "class 3" not in picture.marks  # rows of two units have numbers on ticks alone


def test_twins_stand_in_three_rows_at_one_scale():
    (_, picture) = step_pictures(TWINNED, TWINNED.clips[1])
    # Two poses, 150 wide each. A metre is 84 units in every row: the bone of who stands is 84 long, that of
    # who reaches leads 42 aside. Rows begin below their names, at 12, 12 + 84 + 6 + 12 and so on.
    assert re.findall(r">([^<]+)</text>", picture.marks) == ["recorded", "simulated", "its twin"]
    paths = re.findall(r'<path d="([^"]+)"', picture.marks)
    assert paths[0] == "M75 12L75 96M225 12L225 96"
    assert paths[1] == "M75 114L75 198M204 114L246 198"
    assert "recorded: the head goes farthest, 0.00 m." in picture.alt
    assert "simulated: the hand goes farthest, 0.50 m." in picture.alt
