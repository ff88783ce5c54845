"""What MLflow keeps of a record besides itself: files that lie on disk, and pictures drawn from them."""

from pathlib import Path

from kinemask.looks import looks_path, read_looks
from kinemask.pictures import attention_pictures, encoder_pictures, standalone_svg, step_pictures
from kinemask.record import Record
from kinemask.tracking.fields import legal_names
from kinemask.tracking.models import weights_of

ENCODER = "topology bias"  # the picture that is of no clip


def files_of(record: Record, root: Path) -> list[Path]:
    """What belongs to the record besides itself: an encoder's weights, or the reports."""
    if record.stage == "tables":
        return sorted(path for path in (root / "reports").glob("*") if path.is_file())
    weights = weights_of(record, root)
    return [weights] if weights.is_file() else []


def pictures_of(record: Record, root: Path) -> dict[str, str]:
    """Name -> picture, where the method was looked at in the run of this record.

    The name of a clip: what the method does with it; ENCODER: what its encoder has learned whatever the clip.
    """
    path = root / looks_path(record.subject, record.method or "")
    if record.stage != "pretrain" or not path.is_file():
        return {}
    looks = read_looks(path)
    if looks.seed != record.seed:
        return {}
    found = {one.clip: [*step_pictures(looks, one), *attention_pictures(looks, one)] for one in looks.clips}
    if learned := encoder_pictures(looks):
        found[ENCODER] = learned
    legal = legal_names(found)
    return {legal[name]: standalone_svg(name, pictures) for name, pictures in found.items()}
