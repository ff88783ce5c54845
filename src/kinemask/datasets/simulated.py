"""Clips of simulated people for training alone: no benchmark is made of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from kinemask.datasets.prepare import prepare
from kinemask.datasets.raw_kinesim import KINESIM, SimulatedSection
from kinemask.datasets.reader import AnyReader
from kinemask.skeleton.packed import DatasetInfo
from kinemask.storage import whole_folder, writing


def simulate(
    folder: Path, name: str, sections: Mapping[str, SimulatedSection | None]
) -> dict[str, DatasetInfo]:
    """Fill `folder` with the packed clips of each section, below the name it has in `sections`.

    simulated.json says what they hash to; it is there also where nobody is simulated. Raises StorageError
    if the disk does not take them.
    """
    reader: AnyReader = KINESIM  # of every simulated dataset
    found = {}
    with whole_folder(folder) as partial, writing(folder):
        for size, section in sections.items():
            if section is None:
                continue
            with TemporaryDirectory(dir=partial) as scratch:
                raw, packed = Path(scratch, "raw"), Path(scratch, "packed")
                reader.fetch(section, name, raw, ())
                found[size] = prepare(reader, section, name=name, raw=raw, packed=packed)
                packed.rename(partial / size)
        hashes = {size: info.data_sha256 for size, info in found.items()}
        (partial / "simulated.json").write_text(json.dumps(hashes) + "\n")
    return found
