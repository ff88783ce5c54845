"""Recordings: where they come from, how they are read and who trains on which."""

from typing import Annotated

from pydantic import Field

from kinemask.datasets.kinesim import KINESIM, KINESIM2, Kinesim2Config, KinesimConfig
from kinemask.datasets.raw_irds import IRDS, IrdsConfig
from kinemask.datasets.raw_wmft import WMFT, WmftConfig
from kinemask.datasets.reader import AnyReader

DatasetConfig = Annotated[
    KinesimConfig | Kinesim2Config | IrdsConfig | WmftConfig, Field(discriminator="name")
]

DATASETS: dict[str, AnyReader] = {
    "kinesim": KINESIM,
    "kinesim2": KINESIM2,
    "irds": IRDS,
    "wmft": WMFT,
}
