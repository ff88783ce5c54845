"""What `dvc repro` makes: the part of params.yaml that most users edit."""

from typing import Annotated

from pydantic import Field, field_validator

from kinemask.section import Section


class RunConfig(Section):
    """Every method runs on every benchmark with every seed."""

    benchmarks: tuple[str, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)

    @field_validator("benchmarks", "methods", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if len(set(values)) != len(values):
            raise ValueError("each may be named only once")
        return values
