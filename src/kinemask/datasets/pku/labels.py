"""PKU-MMD's label files: one line an instance, `label,start,end,confidence` (DATASETS.md section 6)."""

from dataclasses import dataclass

from kinemask.datasets.pku.phases import CLASS_NAMES
from kinemask.datasets.reader import DamagedError, shown
from kinemask.skeleton.packed import Dropped

_VALUES = 4


@dataclass(frozen=True)
class LabelRow:
    """One instance of an action as the label file of its video says it: frames as numbered there."""

    name: str  # <video>_<number of the row>
    label: int  # 1 is the first
    start: int
    end: int
    confidence: int


@dataclass(frozen=True)
class LabelFile:
    """The instances of one video, and the rows that are none."""

    rows: tuple[LabelRow, ...]
    damaged: tuple[Dropped, ...]

    @property
    def num_rows(self) -> int:
        """Rows of the file, damaged ones too."""
        return len(self.rows) + len(self.damaged)


def read_labels(video: str, data: bytes) -> LabelFile:
    """The rows of a label file, in its order. Blank lines are no rows; instances may overlap."""
    rows: list[LabelRow] = []
    damaged: list[Dropped] = []
    lines = [stripped for line in data.splitlines() if (stripped := line.strip())]
    for number, line in enumerate(lines, start=1):
        name = f"{video}_{number:03}"
        try:
            rows.append(_row(name, line))
        except DamagedError as error:
            damaged.append(Dropped(name, str(error)))
    return LabelFile(tuple(rows), tuple(damaged))


def _row(name: str, line: bytes) -> LabelRow:
    values = line.split(b",")
    if len(values) != _VALUES:
        raise DamagedError(f"label row {shown(line)}: {len(values)} value(s), expected {_VALUES}")
    if not all(value.strip().isdigit() for value in values):
        raise DamagedError(f"label row {shown(line)}: whole numbers from 0 are expected")
    label, start, end, confidence = map(int, values)
    if not 1 <= label <= len(CLASS_NAMES):
        raise DamagedError(f"label row {shown(line)}: label {label}, expected 1 to {len(CLASS_NAMES)}")
    if start > end:
        raise DamagedError(f"label row {shown(line)}: it starts after its end")
    return LabelRow(name, label, start, end, confidence)
