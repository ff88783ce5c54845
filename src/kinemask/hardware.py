"""On what a stage computes: apart from what defines an experiment, and recorded with every number."""

from pydantic import Field

from kinemask.section import Section


class HardwareConfig(Section):
    """`processes` run side by side, each with `threads` threads on `device` ("cpu", "cuda", "cuda:1")."""

    device: str = Field(pattern=r"^(cpu|cuda(:\d+)?)$")
    processes: int = Field(ge=1)
    threads: int = Field(ge=1)
