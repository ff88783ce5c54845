"""On what a stage computes: apart from what defines an experiment, and recorded with every number."""

from typing import Literal

from pydantic import Field

from kinemask.errors import KinemaskError
from kinemask.section import Section


class DeviceError(KinemaskError):
    """The device that is asked for is not there; the message says what is."""


Precision = Literal["float32", "bfloat16"]


class HardwareConfig(Section):
    """`processes` run side by side, each with `threads` threads on `device` ("cpu", "cuda", "cuda:1").

    `precision` is that of the matrix products of encoder and decoder in pretraining; weights, views, losses
    and all evaluation are float32 in any case. `compile` is for training, and for transformers only.
    """

    device: str = Field(pattern=r"^(cpu|cuda(:\d+)?)$")
    processes: int = Field(ge=1)
    threads: int = Field(ge=1)
    precision: Precision
    compile: bool


def require_device(device: str) -> None:
    """Raises DeviceError if torch cannot compute on `device` here."""
    import torch  # the stages that need no torch read this module too

    if device == "cpu":
        return
    number = int(device.partition(":")[2] or 0)
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= found:
        raise DeviceError(
            f"hardware.device is {device}, but torch {torch.__version__} sees {found} CUDA device(s): set "
            "it to cpu in params.yaml, or install another build of torch (README, GPU)"
        )
