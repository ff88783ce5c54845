"""What `dvc repro` makes: the part of params.yaml that most users edit, and which evaluations there are."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from kinemask.section import Section

Seeds = tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True)
class Evaluation:
    """A stage that scores encoders: of every method on every benchmark of the run, if nothing is said."""

    name: str  # of the stage, of its section in `evaluation` and of its folders of results and records
    listed: bool = False  # only of the methods that run.<name> lists
    tunes: bool = False  # it trains the encoder further, by the recipe of evaluation.finetune
    apart: bool = False  # its many settings have a table of their own and are compared in no other
    pairs: bool = False  # from the source to the target of the pairs that run.<name> lists


# In the order of the reports. A new one is an entry here, a stage, and what tests/test_pipeline.py asks for.
EVALUATIONS = (
    Evaluation("linear"),
    Evaluation("knn"),
    Evaluation("few"),
    Evaluation("semi", listed=True, tunes=True),
    Evaluation("finetune", listed=True, tunes=True),
    Evaluation("occlusion", listed=True, apart=True),
    Evaluation("transfer", pairs=True),
)
BETWEEN = "-to-"  # the two benchmarks of a pair, in its name: no benchmark has it in its own
_LISTED = tuple(one.name for one in EVALUATIONS if one.listed)
_PAIRED = tuple(one.name for one in EVALUATIONS if one.pairs)


class Pair(Section):
    """A benchmark whose encoders are scored on another."""

    source: str
    target: str

    @property
    def name(self) -> str:
        """In place of the benchmark, in folders and as the subject of records."""
        return f"{self.source}{BETWEEN}{self.target}"

    @property
    def setting(self) -> str:
        """What every setting of its scores begins with."""
        return f"from={self.source}"


def scored_on(subject: str) -> str:
    """The benchmark whose test part a record is about: of the name of a pair the target, else the subject."""
    return subject.rpartition(BETWEEN)[2]


class RunConfig(Section):
    """Every method runs on every benchmark with every seed, and those of `more_seeds` with more of them.

    `semi`, `finetune` and `occlusion` are the methods that these evaluations are for, `transfer` the pairs of
    benchmarks. `reference` is the method that the ablation table compares all others with.
    """

    benchmarks: tuple[str, ...] = Field(min_length=1)
    methods: tuple[str, ...] = Field(min_length=1)
    # DVC reads these four too, so they must be there, empty or not.
    semi: tuple[str, ...]
    finetune: tuple[str, ...]
    occlusion: tuple[str, ...]
    transfer: tuple[Pair, ...]
    seeds: Seeds = Field(min_length=1)
    more_seeds: dict[str, Seeds] = Field(default_factory=dict)
    reference: str | None = None

    @field_validator("benchmarks", "methods", *_LISTED, *_PAIRED, "seeds")
    @classmethod
    def _each_once(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [value.name if isinstance(value, Pair) else value for value in values]
        if len(set(names)) != len(names):
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
        for key in _LISTED:
            for name in self.methods_of(key):
                if name not in self.methods:
                    raise ValueError(f"{key} names {name!r}; methods are {listed}")
        if self.reference not in (None, *self.methods):
            raise ValueError(f"reference names {self.reference!r}; methods are {listed}")
        return self

    @model_validator(mode="after")
    def _paired(self) -> "RunConfig":
        for key in _PAIRED:
            for pair in self.pairs_of(key):
                if pair.source not in self.benchmarks:
                    listed = ", ".join(self.benchmarks)
                    raise ValueError(f"{key} names the source {pair.source!r}; benchmarks are {listed}")
                if pair.source == pair.target:
                    raise ValueError(f"{key} has {pair.source!r} as source and target: take another target")
        return self

    def seeds_of(self, method: str) -> tuple[int, ...]:
        """All seeds of a method."""
        return (*self.seeds, *self.more_seeds.get(method, ()))

    def methods_of(self, stage: str) -> tuple[str, ...]:
        """The methods that a stage runs for."""
        found: tuple[str, ...] = getattr(self, stage) if stage in _LISTED else self.methods
        return found

    def pairs_of(self, stage: str) -> tuple[Pair, ...]:
        """The pairs of benchmarks that a stage runs for, none if it is a stage of single benchmarks."""
        found: tuple[Pair, ...] = getattr(self, stage) if stage in _PAIRED else ()
        return found

    def subjects_of(self, stage: str) -> tuple[str, ...]:
        """What a stage runs on: benchmarks, or the names of pairs."""
        return tuple(pair.name for pair in self.pairs_of(stage)) if stage in _PAIRED else self.benchmarks

    def scored(self) -> tuple[str, ...]:
        """The benchmarks whose test part is scored: those of the run, then targets not among them."""
        targets = (pair.target for one in _PAIRED for pair in self.pairs_of(one))
        return tuple(dict.fromkeys((*self.benchmarks, *targets)))
