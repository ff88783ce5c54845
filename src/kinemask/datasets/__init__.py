"""Recordings: where they come from, how they are read and who trains on which."""

from typing import Annotated

from pydantic import Field

from kinemask.datasets.ntu.sets import NtuConfig
from kinemask.datasets.own.section import RawFolderConfig
from kinemask.datasets.raw_folder import RAW_FOLDER
from kinemask.datasets.raw_irds import IRDS, IrdsConfig
from kinemask.datasets.raw_kinesim import KINESIM, KINESIM2, Kinesim2Config, KinesimConfig
from kinemask.datasets.raw_ntu import NTU
from kinemask.datasets.raw_pku import PKU1, PKU2, Pku1Config, Pku2Config
from kinemask.datasets.raw_wmft import WMFT, WmftConfig
from kinemask.datasets.reader import AnyReader

DatasetConfig = Annotated[
    KinesimConfig
    | Kinesim2Config
    | IrdsConfig
    | WmftConfig
    | NtuConfig
    | Pku1Config
    | Pku2Config
    | RawFolderConfig,
    Field(discriminator="name"),
]

DATASETS: dict[str, AnyReader] = {
    "kinesim": KINESIM,
    "kinesim2": KINESIM2,
    "irds": IRDS,
    "wmft": WMFT,
    "ntu60": NTU,
    "ntu120": NTU,
    "pku1": PKU1,
    "pku2": PKU2,
    "raw_folder": RAW_FOLDER,
}
