"""What `dvc repro` makes: the part of params.yaml that most users edit."""

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from kinemask.section import Section

Seeds = tuple[Annotated[int, Field(ge=0)], ...]


class RunConfig(Section):
    """Every method runs on every benchmark with every seed, and those of `more_seeds` with more of them.

    `finetune` are the methods that are fine-tuned, too. `reference` is the method that the ablation table
    compares all others with.
    """

    benchmarks: tuple[str, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    finetune: tuple[str, ...]  # of `methods`; DVC reads it too, so it must be there, empty or not
    seeds: Seeds = Field(min_length=1)
    more_seeds: dict[str, Seeds] = Field(default_factory=dict)
    reference: str | None = None

    @field_validator("benchmarks", "methods", "finetune", "seeds")
    @classmethod
    def _each_once(cls, values: tuple[str | int, ...]) -> tuple[str | int, ...]:
        if len(set(values)) != len(values):
            raise ValueError("each may be named only once")
        return values

    @model_validator(mode="after")
    def _consistent(self) -> "RunConfig":
        listed = ", ".join(self.methods)
        for name in self.more_seeds:
            if name not in self.methods:
                raise ValueError(f"more_seeds names {name!r}; methods are {listed}")
            if len(set(self.seeds_of(name))) != len(self.seeds_of(name)):
                raise ValueError(f"more_seeds.{name} repeats a seed: {list(self.seeds_of(name))} with seeds")
        for name in self.finetune:
            if name not in self.methods:
                raise ValueError(f"finetune names {name!r}; methods are {listed}")
        if self.reference not in (None, *self.methods):
            raise ValueError(f"reference names {self.reference!r}; methods are {listed}")
        return self

    def seeds_of(self, method: str) -> tuple[int, ...]:
        """All seeds of a method."""
        return (*self.seeds, *self.more_seeds.get(method, ()))
