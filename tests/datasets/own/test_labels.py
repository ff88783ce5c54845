import errno
from pathlib import Path

import pandas as pd
import pytest

from kinemask.datasets.own.labels import ColumnProtocol, Labels, read_labels
from kinemask.datasets.reader import DatasetError

XSUB = {"xsub": ColumnProtocol(column="subject", train=(1,))}


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes, protocols=XSUB) -> Labels:
        path = tmp_path / "labels.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_labels(path, protocols, "datasets.mine.protocols")

    return read_text


def divided(labels: Labels, rule: ColumnProtocol) -> list[str]:
    """What the rule makes of the table that is packed from these labels."""
    rows = [{"name": row.file, "label": row.label, **row.numbers, **row.traits} for row in labels.rows]
    return rule.rule()(pd.DataFrame(rows)).tolist()


def test_numbers_are_sorted_by_size_and_texts_by_letters(read):
    assert read("file,label,subject\na.npy,10,1\nb.npy,9,2\n").class_names == ("9", "10")
    assert read("file,label,subject\na.npy,10,1\nb.npy,nine,2\n").class_names == ("10", "nine")


def test_leading_zeros_are_no_other_class_or_person(read):
    labels = read("file,label,subject\na.npy,01,01\nb.npy,1,2\n")
    assert labels.class_names == ("1",)
    assert [row.numbers["subject"] for row in labels.rows] == [1, 2]


def test_what_spreadsheets_leave_is_no_problem(read):
    labels = read(b'\xef\xbb\xbffile, label ,subject,,\r\n"a.npy",wave,1,,\r\n,,,,\r\nb.npy, wave,2,,\r\n')
    assert [row.file for row in labels.rows] == ["a.npy", "b.npy"]
    assert labels.class_names == ("wave",)


def test_persons_and_places_may_have_names(read):
    rule = ColumnProtocol(column="camera", train=("side",))
    labels = read(
        "file,label,subject,camera\na.npy,x,Zoe,front\nb.npy,x,Al,side\nc.npy,x,,\n", {"xview": rule}
    )
    assert [row.numbers for row in labels.rows] == [
        {"subject": 2, "camera": 1}, {"subject": 1, "camera": 2}, {"subject": -1, "camera": -1},
    ]  # fmt: skip
    assert labels.rows[0].traits == {"subject_name": "Zoe", "camera_name": "front"}
    assert divided(labels, rule) == ["test", "train", "unused"]


def test_an_empty_cell_neither_trains_nor_tests(read):
    labels = read("file,label,subject,mood\na.npy,x,1,glad\nb.npy,x,,sad\nc.npy,x,2,\n")
    assert divided(labels, XSUB["xsub"]) == ["train", "unused", "test"]
    assert divided(labels, ColumnProtocol(column="mood", train=("glad",))) == ["train", "test", "unused"]


def test_with_test_values_what_is_not_named_is_unused(read):
    labels = read("file,label,subject\na.npy,x,1\nb.npy,x,2\nc.npy,x,3\n")
    rule = ColumnProtocol(column="subject", train=("01",), test=(3,))
    assert divided(labels, rule) == ["train", "unused", "test"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: its first line is file,label,subject"),
        ("file,label,subject\n", "names no recording"),
        ("file;label\na.npy;x\n", "cells are divided by commas"),
        ("name,lable\na.npy,x\n", "no column file; the header has no column label; column name: tables here"),
        ("file,label,label\na.npy,x,x\n", "column 'label' stands there twice"),
        ("file,label,xsub\na.npy,x,1\n", "column xsub: tables here have their own, or a protocol"),
        ("file,label,,mood\na.npy,x,1,2\n", "a column has no name"),
        ("file,label,subject\na.npy,x,1\nb.npy,x\n", "line 3: 2 cells, the header has 3"),
        ("file,label,subject\na.npy,x,1,2\n", "line 2: 4 cells, the header has 3"),
        ("file,label,subject\na.npy,,1\n", "line 2: the label of a.npy is empty"),
        ("file,label,subject\na.npy,x,1\na.npy,y,1\n", "line 3: file a.npy stands in line 2 already"),
        ("file,label,subject\n../a.npy,x,1\n", "line 2: file '../a.npy' must be a path below the folder"),
        ("file,label,subject\n/a.npy,x,1\n", "must be a path below the folder"),
        ("file,label,subject\nc\\a.npy,x,1\n", "with / between folders"),
        ("file,label,subject\na,x,1\n", "must end in .npy, .csv, .skeleton or .bvh"),
        ('file,label,subject\n"a.npy,x,1\n', "quotes must be closed"),
        (
            "file,label\na.npy,x\n",
            "datasets.mine.protocols.xsub.column 'subject': labels.csv has file, label",
        ),
        (
            "file,label,subject\na.npy,x,2\nb.npy,x,10\n",
            "xsub names 1: column subject of labels.csv holds 2, 10",
        ),
        ("file,label,subject\na.npy,x,1\n", "datasets.mine.protocols.xsub leaves no recording to test on"),
        (b"file,label\n\xff\xfe.npy,x\n", "is not UTF-8 text: save it as"),
    ],
)
def test_what_is_wrong_is_named_by_line_or_column(read, text, said):
    with pytest.raises(DatasetError) as caught:
        read(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_lines_are_looked_at_and_the_first_problems_named(read):
    rows = "".join(f"a{number}.npy,,1\n" for number in range(9))
    with pytest.raises(DatasetError, match=r"has 9 problem\(s\): line 2: .*; line 6: .*; \.\.\.$"):
        read(f"file,label,subject\n{rows}")


def test_labels_that_are_a_folder_or_closed_are_named_with_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(DatasetError, match=r"labels\.csv is a folder: `labels` names a file"):
        read_labels(tmp_path / "labels.csv", XSUB, "protocols")

    def closed(path, **_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(
        DatasetError, match=r"labels\.csv cannot be read \(Permission denied\): give this user"
    ):
        read_labels(tmp_path / "labels.csv", XSUB, "protocols")


def test_letters_with_accents_have_one_spelling(read):
    labels = read("file,label,subject\nZoe\u0308.npy,x,Zoe\u0308\nb.npy,x,Zo\u00eb\nc.npy,x,Al\n", {})
    assert {row.file for row in labels.rows} == {"Zo\u00eb.npy", "b.npy", "c.npy"}
    assert set(labels.columns["subject"]) == {"Al", "Zo\u00eb"}
    assert divided(labels, ColumnProtocol(column="subject", train=("Zoe\u0308",))).count("train") == 2


def test_a_class_that_only_tests_is_a_doubt(read):
    labels = read("file,label,subject\na.npy,x,1\nb.npy,x,2\nc.npy,y,2\n")
    assert XSUB["xsub"].doubts("protocols.xsub", labels) == [
        "protocols.xsub tests y and trains none of it: no such clip can be recognized"
    ]
    labels = read("file,label,subject\na.npy,x,1\nb.npy,x,2\nc.npy,y,1\n")
    assert XSUB["xsub"].doubts("protocols.xsub", labels) == []
