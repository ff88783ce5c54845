import copy
import hashlib
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.archives.fetch import read_source
from kinemask.datasets.archives.zip_members import content_digest, list_zip
from kinemask.datasets.kinesim.actions import ACTIONS
from kinemask.datasets.prepare import prepare
from kinemask.datasets.raw_kinesim import (
    ARCHIVE_FILE,
    KINESIM,
    KINESIM2,
    Kinesim2Config,
    KinesimConfig,
    Simulation,
    clip_keys,
    fetch,
)
from kinemask.section import PARAMS_FILE, ParamsError, Section, read_params
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import open_packed
from tests.datasets.conftest import read_all
from tests.datasets.kinesim.kinesim_config import NO_FAULTS, VALUES, make_config

ROOT = Path(__file__).parents[2]
TINY = {"actions": ["drink", "kick", "push"], "subjects": 5, "setups": 2}


class Params(Section):
    kinesim: KinesimConfig


class Both(Params):
    kinesim2: Kinesim2Config


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    config = make_config(TINY)
    folder = tmp_path_factory.mktemp("raw") / "kinesim"
    fetch(config, "kinesim", folder, ())
    return config, folder


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tiny, tmp_path):
    config, folder = tiny
    fetch(config, "kinesim", tmp_path / "again", ())
    fetch(make_config(TINY | {"seed": 8}), "kinesim", tmp_path / "other", ())
    for file in (ARCHIVE_FILE, "source.json"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    assert (tmp_path / "other" / ARCHIVE_FILE).read_bytes() != (folder / ARCHIVE_FILE).read_bytes()


def test_a_clip_does_not_depend_on_which_others_are_made():
    # The action's place among the chosen ones changes its number, not its frames.
    whole, part = make_config(), make_config({"actions": ["kick", "push"], "subjects": 3})
    kick = [action.name for action in ACTIONS].index("kick") + 1
    (one,) = [key for key in clip_keys(whole) if (key.camera, key.subject, key.action) == (2, 3, kick)]
    (two,) = [key for key in clip_keys(part) if (key.camera, key.subject, key.action) == (2, 3, 1)]
    assert Simulation(whole).text(one) == Simulation(part).text(two)


def test_the_archive_has_the_names_of_ntu_in_order_and_source_json_says_what_it_is(tiny):
    config, folder = tiny
    with zipfile.ZipFile(folder / ARCHIVE_FILE) as archive:
        names = archive.namelist()
    source = read_source(folder)
    members = list_zip(folder / ARCHIVE_FILE, lambda path: True).members
    assert source.content_sha256 == content_digest(members)
    (file,) = source.files
    assert file.sha256 == hashlib.sha256((folder / ARCHIVE_FILE).read_bytes()).hexdigest()
    assert names == sorted(names)
    assert len(names) == 45  # 3 actions x 5 subjects x 1 replication x 3 cameras
    assert names[0] == "kinesim_skeletons/S001C001P001R001A001.skeleton"
    assert names[-1] == "kinesim_skeletons/S002C003P004R001A003.skeleton"  # subjects 2 and 4 are in setup 2
    assert [name[18:-9] for name in names] == [key.name for key in clip_keys(config)]


def test_counts_are_those_of_the_formula(tiny, tmp_path):
    # `prepare` compares with `expected`; by hand: 9 clips a subject, subjects 1 3 5 train; 15 clips a camera.
    config, folder = tiny
    assert KINESIM.open(config, "kinesim", folder).num_clips == 45
    info = prepare(KINESIM, config, name="kinesim", raw=folder, packed=tmp_path / "packed")
    assert info.num_clips == 45
    assert info.counts == {"xsub": {"train": 27, "test": 18}, "xview": {"train": 30, "test": 15}}
    clips = open_packed(tmp_path / "packed").clips
    assert set(clips.loc[clips["xview"] == "test", "camera"]) == {1}
    assert set(clips.loc[clips["xsub"] == "train", "subject"]) == {1, 3, 5}
    assert info.class_names == ("drink", "kick", "push")


def test_clips_read_back_are_the_performances_as_the_cameras_saw_them(tmp_path):
    config = make_config(NO_FAULTS | TINY)
    fetch(config, "kinesim", tmp_path / "raw", ())
    simulation = Simulation(config)
    clips = read_all(KINESIM.open(config, "kinesim", tmp_path / "raw"))
    for key, clip in zip(clip_keys(config), clips, strict=True):
        assert isinstance(clip, Clip)
        assert (clip.name, clip.label, clip.subject, clip.camera) == (
            key.name,
            key.action - 1,
            key.subject,
            key.camera,
        )
        seen = simulation.camera(key).see(simulation.performance(key))
        persons = seen.shape[1]
        assert clip.present.any(axis=0).tolist() == [True, persons == 2]
        found = clip.joints[:, :persons]
        if persons == 2 and np.abs(found - seen).max() > 1:  # the one who moves more comes first
            seen = seen[:, ::-1]
        np.testing.assert_allclose(found, seen, atol=1e-4)


def test_both_people_move_in_actions_for_two():
    config = make_config()
    simulation = Simulation(config)
    for key in clip_keys(config)[: 20 * 3]:
        joints = simulation.performance(key)
        assert joints.shape[1] == len(ACTIONS[key.action - 1].roles)
        assert (np.ptp(joints, axis=0).max(axis=(1, 2)) > 0.15).all()
    assert sum(len(action.roles) == 2 for action in ACTIONS[:20]) >= 3


def test_all_tracked_bodies_have_ids_beyond_32_bits(tiny):
    _, folder = tiny
    with zipfile.ZipFile(folder / ARCHIVE_FILE) as archive:
        for name in archive.namelist():
            rows = [line.split() for line in archive.read(name).decode().splitlines()]
            ids = {int(row[0]) for row in rows if len(row) == 10}
            assert ids
            assert min(ids) > 2**53


def test_the_data_set_of_params_yaml_is_at_most_a_hundred_megabytes_of_text():
    # Every 19th clip, so that all actions, people and cameras are among them.
    config = read_params(Params, {"kinesim": "datasets.kinesim"}, ROOT / PARAMS_FILE).kinesim
    simulation = Simulation(config)
    keys = clip_keys(config)
    sizes = [len(simulation.text(key)) for key in keys[::19]]
    assert np.mean(sizes) * len(keys) < 100e6


def test_more_actions_have_changed_no_performance_of_the_first_twenty():
    # Frames, and the mean size of a coordinate in metres, of each by subject 1.
    expected = {
        "drink": (32, 0.41818), "brush_teeth": (42, 0.3288), "phone_call": (40, 0.39987),
        "comb_hair": (39, 0.41659), "wave": (37, 0.38853), "throw": (23, 0.34139), "raise_arm": (34, 0.40805),
        "clap": (27, 0.35513), "rub_hands": (32, 0.38321), "sit_down": (29, 0.37014),
        "stand_up": (21, 0.31552), "squat": (34, 0.33063), "pick_up": (36, 0.3346), "jump": (22, 0.3707),
        "kick": (24, 0.43317), "stamp": (27, 0.35464), "handshake": (40, 0.4669), "give": (39, 0.45985),
        "push": (40, 0.48061), "hug": (26, 0.44576),
    }  # fmt: skip
    config = make_config()
    assert [action.name for action in config.chosen_actions()] == list(expected)
    simulation = Simulation(config)
    keys = [key for key in clip_keys(config) if (key.camera, key.subject) == (1, 1)]
    for key, (frames, size) in zip(keys, expected.values(), strict=True):
        joints = simulation.performance(key)
        assert len(joints) == frames
        assert np.abs(joints).mean() == pytest.approx(size, abs=2e-5)


def test_the_second_data_set_of_params_yaml_is_smaller_noisier_and_of_other_actions():
    places = {"kinesim": "datasets.kinesim", "kinesim2": "datasets.kinesim2"}
    params = read_params(Both, places, ROOT / PARAMS_FILE)
    one, two = params.kinesim, params.kinesim2
    assert not {action.name for action in one.chosen_actions()} & {a.name for a in two.chosen_actions()}
    assert 1 <= sum(len(action.roles) == 2 for action in two.chosen_actions()) <= 3
    assert 16 <= two.subjects < one.subjects
    assert len(clip_keys(two)) < len(clip_keys(one))
    assert two.sensor.noise.metres > one.sensor.noise.metres
    assert two.seed != one.seed


def test_a_second_data_set_has_other_actions_and_the_same_reader():
    values = VALUES | {"name": "kinesim2", "actions": [action.name for action in ACTIONS[20:]]}
    config = Kinesim2Config.model_validate_json(json.dumps(values))
    assert len(KINESIM2.class_names(config, Path())) >= 8
    assert not set(KINESIM2.class_names(config, Path())) & set(KINESIM.class_names(make_config(), Path()))


@pytest.mark.parametrize("actions", [1, 1000, ["drink"], ["drink", "drink"], ["drink", "drunk"]])
def test_actions_that_do_not_exist_are_refused_in_one_line(actions, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(json.dumps({"kinesim": VALUES | {"actions": actions}}))
    with pytest.raises(ParamsError, match=r"actions must be"):
        read_params(Params, {"kinesim": "kinesim"}, path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("people.repetitions.pause_seconds", [0.4, -0.2]),
        ("sensor.faults.joint_frames", [0, 3]),
        ("sensor.faults.ghost_share", 1.5),
        ("cameras.degrees", [0]),
        ("subjects", 1),
    ],
)
def test_values_out_of_range_are_refused_with_their_place(place, value, tmp_path):
    values = copy.deepcopy(VALUES)
    node = values
    *path, last = place.split(".")
    for step in path:
        node = node[step]
    node[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(json.dumps({"kinesim": values}))
    with pytest.raises(ParamsError, match=rf"kinesim\.{re.escape(place)}"):
        read_params(Params, {"kinesim": "kinesim"}, file)
