import pytest
import yaml
from pydantic import ValidationError

from kinemask.datasets.state import check_dataset
from tests.datasets.kinect.test_cleaning_reference import LINEAGE
from tests.datasets.test_raw_folder import SECTION, STICK, section


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cleaning": LINEAGE}, "cleaning is for a Kinect's .skeleton files: take layout kinect25, or"),
        ({"layout": "kinect26"}, "no such body; known are kinect25"),
        ({"units": "meters"}, "units"),
        ({"units": 0.0}, "units"),
        ({"joints": {"tail": "Tail"}}, "joints names tail, which the layout has not"),
        ({"protocols": {}}, "protocols"),
        (
            {"protocols": {"camera": {"column": "camera", "train": [1]}}},
            "protocols.camera: tables have such a column",
        ),
        ({"protocols": {"x": {"column": "label", "train": ["a"]}}}, "not divided by file or label"),
        (
            {"protocols": {"x": {"column": "subject", "train": [1, 2], "test": ["02"]}}},
            "2 both trains and tests",
        ),
        ({"protocols": {"x": {"column": "subject", "train": []}}}, "train"),
        ({"layout": STICK | {"joints": ["hip", "neck"]}}, "parents names left_hand, right_hand"),
        ({"layout": {"name": "x", "bvh": "a.bvh", "persons": 3}}, "persons"),
    ],
)
def test_a_wrong_section_is_refused(changes, said):
    with pytest.raises(ValidationError, match=said.replace("(", r"\(")):
        section(**changes)


def test_a_folder_of_nobody_is_a_problem_of_params():
    with pytest.raises(ValidationError, match="no home of that user: write the path from /"):
        section(folder="~nobodyx/recordings")


def test_the_folder_starts_at_the_root_of_the_project(tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({"datasets": {"mine": SECTION}, "download": {"mirrors": []}})
    )
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    for root in (tmp_path, tmp_path / "other" / ".."):
        (problem,) = check_dataset(root, "mine").problems
        assert "own/labels.csv is missing" in problem
