"""Where the time went: start-up of processes against work."""

from collections.abc import Iterable
from dataclasses import dataclass

from kinemask.record import Record


@dataclass(frozen=True)
class Instance:
    """One process of the graph, all its seeds together."""

    stage: str
    subject: str
    method: str
    num_seeds: int
    startup_seconds: float
    work_seconds: float
    peak_memory_mib: float


@dataclass(frozen=True)
class TimeSplit:
    """Wall seconds of a run of the graph; `overhead` is what no record covers: DVC, ends of processes."""

    total: float
    startup: float
    work: float
    overhead: float

    @property
    def startup_share(self) -> float:
        """Part of the total that is not work: start-up and overhead; 0 if nothing took any time."""
        return (self.startup + self.overhead) / self.total if self.total else 0.0


def instances(records: Iterable[Record]) -> list[Instance]:
    """The records by process, in the order given.

    The seeds of an instance share one process and one clock, so the largest reading is that of the process.
    """
    grouped: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        grouped.setdefault((record.stage, record.subject, record.method or ""), []).append(record)
    return [
        Instance(
            *names,
            num_seeds=len([one for one in group if one.seed is not None]),
            startup_seconds=max(one.seconds.get("startup", 0.0) for one in group),
            work_seconds=max(one.seconds.get("work", 0.0) for one in group),
            peak_memory_mib=max(one.peak_memory_mib for one in group),
        )
        for names, group in grouped.items()
    ]


def time_split(records: Iterable[Record], total_seconds: float | None) -> TimeSplit:
    """Start-up, work and the rest of `total_seconds`; without a total, of what the records cover."""
    found = instances(records)
    startup = sum((one.startup_seconds for one in found), 0.0)
    work = sum((one.work_seconds for one in found), 0.0)
    total = startup + work if total_seconds is None else total_seconds
    return TimeSplit(total, startup, work, max(0.0, total - startup - work))
