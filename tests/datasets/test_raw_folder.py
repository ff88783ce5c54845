import errno
import json
import pickle

import numpy as np
import pytest

from kinemask.datasets import raw_folder
from kinemask.datasets.archives.fetch import read_source
from kinemask.datasets.own.section import RawFolderConfig
from kinemask.datasets.prepare import prepare
from kinemask.datasets.raw_folder import RAW_FOLDER
from kinemask.datasets.reader import DatasetError, Verdict
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.layout import KINECT25
from kinemask.skeleton.packed import Dropped
from tests.datasets.conftest import skeleton_text
from tests.datasets.kinect.test_cleaning_reference import LINEAGE
from tests.own_recordings import bvh_text, waving, write_recording

STICK = {
    "name": "stick",
    "joints": ["hip", "neck", "left_hand", "right_hand"],
    "parents": {"neck": "hip", "left_hand": "neck", "right_hand": "neck"},
    "parts": {"trunk": ["hip", "neck"], "arms": ["left_hand", "right_hand"]},
    "mirrored": [["left_hand", "right_hand"]],
}
SECTION = {
    "name": "raw_folder", "folder": "own", "labels": "labels.csv", "layout": STICK, "persons": 1,
    "units": "metres", "up": "y", "lost_joints": "refuse", "symmetries": ["mirror"], "cleaning": None,
    "max_damaged_share": 0.0, "protocols": {"xsub": {"column": "subject", "train": [1]}},
}  # fmt: skip


def section(**changes) -> RawFolderConfig:
    return RawFolderConfig.model_validate_json(json.dumps(SECTION | changes))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder: a good a.npy and b.npy, and labels.csv."""
    monkeypatch.chdir(tmp_path)
    folder, stick = tmp_path / "own", RAW_FOLDER.layout(section())
    for seed, name in enumerate(["a.npy", "sub/b.npy"]):
        write_recording(folder / name, stick, waving(stick, seed=seed))
    (folder / "labels.csv").write_text("file,label,subject\nsub/b.npy,clap,2\na.npy,wave,1\n")
    return folder


def read(own, **changes) -> list[Clip | Dropped]:
    """What the folder holds, by download and open."""
    config, raw = section(**changes), own.parent / "data/raw/mine"
    RAW_FOLDER.fetch(config, "mine", raw, [])
    reading = RAW_FOLDER.open(config, "mine", raw)
    work = pickle.loads(pickle.dumps(reading.read))  # as it goes to processes
    clips = [clip for item in reading.recordings(0) for clip in work(item)]
    assert reading.num_recordings == reading.num_clips == len(clips)
    assert len(list(reading.recordings(1))) == len(clips) - 1
    return [*clips, *reading.left_out]


def relabel(own, text: str) -> None:
    (own / "labels.csv").write_text(text)


def test_clips_are_sorted_by_file_and_carry_what_labels_csv_says(own):
    relabel(own, "file,label,subject,camera,mood\nsub/b.npy,clap,Bert,2,glad\na.npy,wave,Anna,1,\n")
    first, second = read(own, protocols={"xsub": {"column": "subject", "train": ["Bert"]}})
    assert (first.name, first.label, first.subject, first.camera) == ("a.npy", 1, 1, 1)
    assert (second.name, second.label, second.subject, second.camera) == ("sub/b.npy", 0, 2, 2)
    assert second.traits == {"mood": "glad", "subject_name": "Bert"}


def test_download_links_the_files_and_notices_what_changes(own):
    raw = own.parent / "data/raw/mine"
    read(own)
    assert (raw / "recordings/sub/b.npy").readlink() == own / "sub/b.npy"
    assert (raw / "recordings/sub").is_dir()
    assert not (raw / "recordings/sub").is_symlink()  # DVC does not follow links to folders
    assert (raw / "labels.csv").read_text() == (own / "labels.csv").read_text()
    digests = [read_source(raw).content_sha256]
    for change in (
        lambda: np.save(own / "a.npy", np.ones((3, 4, 3))),
        lambda: (own / "a.npy").rename(own / "c.npy"),
    ):
        change()
        RAW_FOLDER.fetch(section(), "mine", raw, [])
        digests.append(read_source(raw).content_sha256)
    assert len(set(digests)) == 3


def test_a_recording_that_went_away_after_download_is_named(own):
    read(own)
    (own / "a.npy").unlink()
    with pytest.raises(DatasetError, match=r"mine: .*own/a\.npy is gone: put it back, or remove .*mine"):
        RAW_FOLDER.open(section(), "mine", own.parent / "data/raw/mine")
    assert "a.npy: labels.csv names it" in verdict().problems[0]


def test_a_file_that_is_not_there_is_damage_and_one_that_is_not_named_is_left_out(own):
    (own / "a.npy").rename(own / "c.npy")
    (own / ".hidden.npy").write_bytes(b"")
    (own / "notes.txt").write_text("nothing")
    clip, *others = read(own)
    assert clip.name == "sub/b.npy"
    assert others == [
        Dropped("a.npy", "labels.csv names it, own has no such file"),
        Dropped("c.npy", "labels.csv does not name it", damaged=False),
    ]


def test_a_damaged_recording_is_dropped_with_its_reason_and_stops_the_stage_by_its_share(own):
    (own / "a.npy").write_bytes(b"no array")
    found, whole = read(own)
    assert isinstance(found, Dropped)
    assert isinstance(whole, Clip)
    raw, packed = own.parent / "data/raw/mine", own.parent / "data/packed/mine"
    with pytest.raises(DatasetError, match=r"1 of 2 clips are damaged.*a\.npy \(no \.npy file of numbers"):
        prepare(RAW_FOLDER, section(), name="mine", raw=raw, packed=packed)


def test_the_same_recordings_of_a_body_with_other_parts_are_other_data(own):
    other = STICK | {"parts": {"trunk": ["hip"], "arms": ["neck", "left_hand", "right_hand"]}}
    raw, packed = own.parent / "data/raw/mine", own.parent / "data/packed/mine"
    found = []
    for config in (section(), section(), section(layout=other)):
        RAW_FOLDER.fetch(config, "mine", raw, [])
        found.append(prepare(RAW_FOLDER, config, name="mine", raw=raw, packed=packed).data_sha256)
    assert found[0] == found[1] != found[2]


def test_a_folder_that_is_not_there_or_holds_the_project_is_refused(own):
    raw = own.parent / "data/raw/mine"
    with pytest.raises(DatasetError, match=r"datasets\.mine\.folder: .*nowhere is no folder"):
        RAW_FOLDER.fetch(section(folder="nowhere"), "mine", raw, [])
    with pytest.raises(DatasetError, match=r"datasets\.mine\.folder: .* holds the project"):
        RAW_FOLDER.fetch(section(folder="."), "mine", raw, [])
    assert not raw.exists()


def test_the_folder_may_be_in_the_home_of_the_user(own, monkeypatch):
    monkeypatch.setenv("HOME", str(own.parent))
    assert len(read(own, folder="~/own")) == 2


def test_a_wrong_labels_csv_stops_the_download(own):
    relabel(own, "file,label\na.npy,\n")
    with pytest.raises(
        DatasetError, match=r"labels\.csv has 1 problem\(s\): line 2: the label of a\.npy is empty"
    ):
        RAW_FOLDER.fetch(section(), "mine", own.parent / "data/raw/mine", [])


def test_without_subjects_they_are_unknown(own):
    relabel(own, "file,label,place\nsub/b.npy,clap,here\na.npy,wave,there\n")
    clips = read(own, protocols={"xplace": {"column": "place", "train": ["here"]}})
    assert [clip.subject for clip in clips] == [-1, -1]


def kinect_files(own, *bodies: str) -> np.ndarray:
    joints = waving(KINECT25)
    (own / "a.skeleton").write_bytes(skeleton_text([[(body, frame) for body in bodies] for frame in joints]))
    relabel(own, "file,label,subject\na.skeleton,clap,2\n")
    return joints


ANY = {"any": {"column": "subject", "train": [2], "test": [3]}}


@pytest.mark.parametrize("persons", [1, 2])
def test_skeleton_files_are_taken_as_they_are(own, persons):
    joints = kinect_files(own, "72057594037931101")
    relabel(own, "file,label,subject\na.skeleton,clap,2\nb.npy,clap,3\n")
    clip = read(own, layout="kinect25", persons=persons, protocols=ANY, units="millimetres", up="z")[0]
    np.testing.assert_allclose(
        clip.joints[:, 0], joints, atol=1e-6
    )  # metres, y up, whatever the section says
    assert clip.present.tolist() == [[True, False][:persons]] * len(joints)


def test_more_bodies_than_persons_need_cleaning(own):
    kinect_files(own, "1", "2")
    relabel(own, "file,label,subject\na.skeleton,clap,2\nb.npy,clap,3\n")
    found = read(own, layout="kinect25", protocols=ANY)[0]
    assert found == Dropped("a.skeleton", "2 bodies, `persons` is 1: say how to choose with `cleaning`")


def test_cleaning_chooses_the_bodies_of_a_kinect(own):
    joints = kinect_files(own, "1", "2")
    relabel(own, "file,label,subject\na.skeleton,clap,2\nb.npy,clap,3\n")
    cleaning = LINEAGE | {"origin": "first_frame"}
    clip = read(own, layout="kinect25", protocols=ANY, cleaning=cleaning)[0]
    np.testing.assert_allclose(clip.joints[:, 0], joints - joints[0, KINECT25.index("spine_mid")], atol=1e-5)
    assert clip.cleaned == {"surplus_bodies": 1}


def test_a_bvh_file_may_give_the_body(own):
    (own / "a.bvh").write_text(bvh_text(KINECT25, waving(KINECT25)))
    relabel(own, "file,label,subject\na.bvh,clap,2\nb.npy,clap,3\n")
    mocap = {"name": "mocap", "bvh": "a.bvh"}
    layout = RAW_FOLDER.layout(section(layout=mocap))
    assert set(layout.joints) == set(KINECT25.joints)
    found = {layout.joints[joint] for joint in layout.parts["left_shoulder"]}
    assert found == {KINECT25.joints[joint] for joint in KINECT25.part("left_arm")}
    clip = read(own, layout=mocap, protocols=ANY)[0]
    order = [KINECT25.index(joint) for joint in layout.joints]
    np.testing.assert_allclose(clip.joints[:, 0], waving(KINECT25)[:, order], atol=1e-5)
    with pytest.raises(DatasetError, match=r"layout\.bvh: .*own/c\.bvh cannot be read: No such file"):
        RAW_FOLDER.layout(section(layout={"name": "mocap", "bvh": "c.bvh"}))


def verdict(**changes) -> Verdict:
    return RAW_FOLDER.check(section(**changes), "mine", [])


def test_a_good_folder_is_whole(own):
    np.save(own / "c.npy", np.load(own / "a.npy"))
    relabel(own, "file,label,subject\na.npy,wave,1\nc.npy,clap,1\nsub/b.npy,clap,2\n")
    found = verdict()
    assert (found.state, found.problems) == ("whole", ())
    assert "3 recordings of 2 classes" in found.facts[0]
    assert "3 of 3 files looked at can be read" in found.facts


def test_what_is_wrong_is_said_before_anyone_waits(own):
    assert verdict(folder="nowhere").state == "absent"
    assert "units right?" in verdict(units="centimetres").problems[0]
    assert "up right?" in verdict(up="z").problems[0]
    found = verdict(layout="kinect25")
    assert found.state == "unusable"
    assert "a.npy, sub/b.npy: its shape is (20, 4, 3), expected (T, 25, 3)" in found.problems[0]
    (own / "a.npy").unlink()
    assert verdict().state == "partial"
    relabel(own, "file,label\n")
    assert verdict().state == "unusable"


def test_a_file_that_goes_while_it_is_read_stops_and_is_read_when_it_is_back(own):
    config, raw = section(), own.parent / "data/raw/mine"
    RAW_FOLDER.fetch(config, "mine", raw, [])
    reading = RAW_FOLDER.open(config, "mine", raw)
    first, second = reading.recordings(0)
    (own / "sub/b.npy").rename(own / "away.npy")
    assert isinstance(reading.read(first)[0], Clip)
    with pytest.raises(
        DatasetError, match=r"b\.npy cannot be read \(No such file .*: put it back and run again"
    ):
        reading.read(second)
    (own / "away.npy").rename(own / "sub/b.npy")
    assert isinstance(reading.read(second)[0], Clip)


def test_recordings_behind_a_link_to_a_folder_are_read(own):
    (own / "sub").rename(own.parent / "elsewhere")
    (own / "sub").symlink_to(own.parent / "elsewhere")
    assert [one.name for one in read(own)] == ["a.npy", "sub/b.npy"]
    assert verdict().state == "whole"


def test_a_name_that_macos_wrote_is_that_of_labels_csv(own):
    (own / "a.npy").rename(own / "cafe\u0301.npy")
    relabel(own, "file,label,subject\nsub/b.npy,clap,2\ncaf\u00e9.npy,wave,1\n")
    assert [one.name for one in read(own)] == ["caf\u00e9.npy", "sub/b.npy"]
    assert verdict().state == "whole"


def test_a_recording_that_may_not_be_read_stops_the_download_by_name(own, monkeypatch):
    def closed(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(raw_folder, "file_sha256", closed)
    with pytest.raises(DatasetError, match=r"cannot be read \(Permission denied\): give this user"):
        RAW_FOLDER.fetch(section(), "mine", own.parent / "data/raw/mine", [])


def test_labels_that_teach_nothing_are_a_doubt(own):
    relabel(own, "file,label,subject\nsub/b.npy,wave,2\na.npy,wave,1\n")
    found = verdict()
    assert found.state == "whole"
    assert found.problems == (
        "all recordings are of class wave: there is nothing to tell apart, is `label` right?",
    )


def test_files_that_are_wrong_in_the_same_way_are_one_line(own):
    text = bvh_text(KINECT25, waving(KINECT25))
    relabel(own, "file,label,subject\n" + "".join(f"{n}.bvh,clap,{n}\n" for n in range(1, 6)))
    for n in range(1, 6):
        (own / f"{n}.bvh").write_text(text)
    (problem,) = verdict().problems
    assert problem.startswith("1.bvh, 2.bvh, 3.bvh, and 2 more: has no joint 'hip' (for hip); it has ")
    assert problem.count("spine_mid") == 1
