"""NTU's archives as their owners pack them, in small: official names, real oddities, simulated content.

No line is copied from a recording. Every file differs from every other, so that none is the copy of another.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from kinemask.datasets.ntu.names import names
from kinemask.datasets.ntu.sets import SETS, NtuSet
from kinemask.datasets.ntu.survey import table_of

FIRST, SECOND = "nturgbd_skeletons_s001_to_s017.zip", "nturgbd_skeletons_s018_to_s032.zip"
FOLDERS = {FIRST: "nturgb+d_skeletons", SECOND: "nturgb+d_skeletons120"}
HEAD = (
    "{num} of the captured samples have missing or incomplete skeleton data.\r\n"
    "If you are working on skeleton-based analysis, please ignore these files.\r\n\r\n"
)
_MARK = b"0.0987654"  # the coordinate that is another one in every file
_BODIES = ("72057594037932101", "72057594037932102", "72057594037932103")  # ids beyond 32 bits
# Bodies frame by frame: one, two, a third one for a moment, and frames in which nobody is seen.
_KINDS = {
    "one body": ((0,),),
    "two bodies": ((0, 1),),
    "third body": ((0, 1), (0, 1, 2)),
    "empty frames": ((0,), ()),
    "late second body": ((0,), (0, 1)),
}


def texts(num_frames: int = 2) -> list[bytes]:
    """One text for each kind of recording, with `_MARK` in every body. The last has Windows' line ends."""
    made = [_text(kind, num_frames, seed) for seed, kind in enumerate(_KINDS.values())]
    return [*made, made[0].replace(b"\n", b"\r\n")]


def _text(kind: Sequence[Sequence[int]], num_frames: int, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    places = rng.normal(0, 0.3, (3, 25, 3)) + np.array([0.0, 0.0, 3.0])
    lines = [str(num_frames)]
    for frame in range(num_frames):
        bodies = kind[frame % len(kind)]
        lines.append(str(len(bodies)))
        for body in bodies:
            lines += [f"{_BODIES[body]} 0 1 1 1 1 0 0.0291 -0.2157 2", "25"]
            moved = places[body] + 0.02 * frame * rng.normal(size=(25, 3))
            shown = [(f"{x:.7f}", y, z) for x, y, z in moved]
            shown[0] = (_MARK.decode(), *shown[0][1:])  # whatever cleaning leaves, the mark is in it
            lines += [
                f"{x} {y:.7f} {z:.6f} 260.7154 203.2113 981.5226 499.8219 -0.21 0.03 0.95 -0.01 2"
                for x, y, z in shown
            ]
    return ("\n".join(lines) + "\n").encode()


def write_archive(
    path: Path,
    of: Iterable[str],
    *,
    num_frames: int = 2,
    replaced: dict[str, bytes] | None = None,
    folder: str | None = None,
) -> Path:
    """An archive of `.skeleton` files of these names; `replaced` names some whose bytes are others."""
    kinds = texts(num_frames)
    places = {name: place for place, name in enumerate(names(SETS["ntu120"].setups))}
    replaced = replaced or {}
    top = FOLDERS.get(path.name, "skeletons") if folder is None else folder
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.mkdir(top)
        for number, name in enumerate(of, 1):
            # Every name has a number of its own, in whichever archive it stands.
            text = kinds[number % len(kinds)].replace(
                _MARK, b"0.%07d" % places.get(name, len(places) + number)
            )
            archive.writestr(f"{top}/{name}.skeleton", replaced.get(name, text))
    return path


def all_names(dataset: str) -> list[str]:
    """Every name of a data set, those on the official list among them."""
    return list(names(SETS[dataset].setups))


def generated_list(facts: NtuSet) -> tuple[bytes, NtuSet]:
    """A list as long as the official one whose absence leaves the known counts, and the facts that know it.

    The official lists are not part of this repository. Of each part of a protocol as many names are taken as
    the known counts ask for, so that these counts come out by construction. With this list a test proves that
    there are as many names as there should be in all, that enough of them are in each part, and that what a
    list names is left out and all else is counted. That the rules of the protocols are the owners' is proved
    with the official lists only, which leave the known counts without being made for it:
    `test_official_list_leaves_the_known_counts`, where a mirror has them.
    """
    every = names(facts.setups)
    table = table_of(every)
    trains = [(rule(table) == "train").to_numpy() for rule in facts.rules.values()]
    first, second = (
        int(train.sum()) - facts.expected.parts[protocol][0]
        for protocol, train in zip(facts.rules, trains, strict=True)
    )
    total = len(every) - facts.expected.clips
    both = min(first, second)
    wanted = {
        (True, True): both,
        (True, False): first - both,
        (False, True): second - both,
        (False, False): total - first - second + both,
    }
    taken: list[str] = []
    for one, two in product((True, False), repeat=2):
        places = np.flatnonzero((trains[0] == one) & (trains[1] == two))
        taken += [every[place] for place in places[::7][: wanted[one, two]]]
    assert len(taken) == total
    digest = hashlib.sha256("".join(f"{name}\n" for name in sorted(taken)).encode()).hexdigest()
    text = HEAD.format(num=total) + "".join(f"{name}\r\n" for name in taken)
    return text.encode(), replace(facts, listed_sha256=digest)
