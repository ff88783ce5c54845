import json

import pytest

from kinemask.looks import (
    AttentionLook,
    ClipLook,
    DropLook,
    HopBiasLook,
    Looks,
    MaskLook,
    TwinsLook,
    looks_path,
    read_looks,
    write_looks,
)
from kinemask.record import RecordError, read_records

MASK = MaskLook(
    hidden=("##..", "..--"), intensity=((1.0, 0.25), (0.5, 0.0)), weight=((0.75, 0.25), (0.5, 0.5))
)
DROP = DropLook(kind="trajectory", dropped=(False, True, False), score=(0.625, 0.75, 0.65))
LOOKS = Looks(
    seed=4,
    joints=("head", "hand"),
    parts={"trunk": (0,), "arm": (1,)},
    clips=(ClipLook(clip="wave", mask=MASK, drop=DROP), ClipLook(clip="clap", mask=None, drop=DROP)),
)

ATTENTION = AttentionLook(
    joint=1, frame=3, pose=((0.0, 1.5), (0.5, 1.0)), shares=((0.25, 0.75), (0.5, 0.5), (0.9, 0.1))
)
# A body of two joints, a metre tall, whose hand goes half a metre aside.
STANDING, REACHING = ((0.0, 1.0), (0.0, 0.0)), ((0.0, 1.0), (0.5, 0.0))
TWINS = TwinsLook(recorded=(STANDING, STANDING), first=(STANDING, REACHING), second=(REACHING, REACHING))
BIAS = HopBiasLook(blocks=(((0.5, -0.25), (0.0, 0.1)), ((0.0, -0.5), (0.001, 0.2))), farthest=1)
ATTENDING = LOOKS.model_copy(
    update={
        "clips": (
            LOOKS.clips[0].model_copy(update={"attention": ATTENTION}),
            LOOKS.clips[1],
        ),
        "bones": ((0, 1),),
        "hop_bias": BIAS,
    }
)

TWINNED = ATTENDING.model_copy(
    update={"clips": (ATTENDING.clips[0], LOOKS.clips[1].model_copy(update={"twins": TWINS}))}
)


def test_looks_read_again_are_the_looks_written_and_are_no_record(tmp_path):
    path = tmp_path / looks_path("toy-odd", "mtmc")
    write_looks(path, LOOKS)
    first = path.read_bytes()
    assert read_looks(path) == LOOKS
    write_looks(path, LOOKS)
    assert path.read_bytes() == first
    assert path == tmp_path / "records/pretrain/toy-odd/mtmc/looks.json"
    assert read_records(tmp_path) == []


def test_what_an_encoder_attends_to_is_read_again(tmp_path):
    write_looks(tmp_path / "looks.json", ATTENDING)
    assert read_looks(tmp_path / "looks.json") == ATTENDING


def test_a_file_from_before_attention_is_read_and_one_without_it_is_still_the_same(tmp_path):
    path = tmp_path / "looks.json"
    write_looks(path, LOOKS)
    content = json.loads(path.read_text())
    assert content.keys() == {"seed", "joints", "parts", "clips"}
    assert [one.keys() for one in content["clips"]] == [{"clip", "mask", "drop"}] * 2
    assert content["clips"][1]["mask"] is None
    looks = read_looks(path)
    assert (looks.bones, looks.hop_bias, looks.clips[0].attention) == (None, None, None)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("clips", 0, "mask", "hidden"), ["##.."], r"wave: hidden has 1 rows of \[4\] frames, expected 2"),
        (("clips", 0, "mask", "hidden"), ["##..", ".."], r"hidden has 2 rows of \[2, 4\] frames"),
        (("clips", 0, "mask", "hidden", 0), "#x..", "should match pattern"),
        (("clips", 0, "mask", "weight"), [[0.5, 0.5]], "2 and 1 segments do not divide 4 frames"),
        (
            ("clips", 0, "mask", "intensity", 1),
            [1.0],
            r"segments have \[1, 2\] values, expected one for each",
        ),
        (("clips", 1, "drop", "score"), [0.5], "clap: 1 scores of 3 channels"),
        (("parts", "arm"), [0], r"parts hold the joints \[0, 0\], expected each of 2 once"),
        (("colour",), "red", "Extra inputs"),
        (("bones",), [[0, 2]], r"bones end at \[0, 2\], expected joints 0 to 1"),
        (("bones",), None, "wave: attention is drawn on the body, and there are no bones"),
        (("clips", 0, "attention", "joint"), 2, "wave: joint 2 attends, expected 0 to 1"),
        (("clips", 0, "attention", "pose"), [[0.0, 0.0]], "the pose has 1 joints, expected 2"),
        (
            ("clips", 0, "attention", "shares", 1),
            [1.0],
            r"blocks have \[1, 2\] shares, expected one for",
        ),
        (("clips", 0, "attention", "shares"), [], r"blocks have \[\] shares"),
        (("clips", 0, "attention", "shares", 1), [0.5, 0.25], r"shares sum to \[1.0, 0.75, 1.0\]"),
        (("clips", 0, "attention", "shares", 1), [1.5, -0.5], "expected parts of 1"),
        (("clips", 1, "twins", "first"), [STANDING], r"clap: rows have \[1, 2\] poses of \[2\] joints"),
        (("clips", 1, "twins", "first", 0), [[0.0, 1.0]], r"poses of \[1, 2\] joints, expected 2"),
        (("hop_bias", "blocks", 0), [[0.5, 0.1]], r"hop_bias: blocks have \[1, 2\] heads of \[2\] hops"),
        (("hop_bias", "blocks"), [], r"hop_bias: blocks have \[\] heads"),
        (("hop_bias", "farthest"), 0, "hop_bias: 2 numbers of hops, expected at most 0 to 0"),
    ],
)
def test_a_damaged_file_is_told_in_one_line(tmp_path, place, value, said):
    content = json.loads(TWINNED.model_dump_json())
    *above, last = place
    holder = content
    for step in above:
        holder = holder[step]
    holder[last] = value
    path = tmp_path / "looks.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=said) as caught:
        read_looks(path)
    assert str(caught.value).startswith(f"{path} holds no looks (")
    assert str(caught.value).endswith("): remove it and run `dvc repro`")
    assert "\n" not in str(caught.value)


def test_a_file_cut_short_is_told_in_one_line(tmp_path):
    path = tmp_path / "looks.json"
    path.write_text(LOOKS.model_dump_json()[:50])
    with pytest.raises(RecordError, match="holds no looks"):
        read_looks(path)
