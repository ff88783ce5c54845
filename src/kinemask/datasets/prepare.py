"""From the raw folder of any dataset to its packed form, with everything dropped counted and named."""

from collections.abc import Sequence
from pathlib import Path

from kinemask.datasets.protocols import differences
from kinemask.datasets.reader import AnyReader, DatasetError, DatasetSection
from kinemask.progress import progress
from kinemask.skeleton.packed import DatasetInfo, Dropped, PackedWriter

_NAMED_DROPS = 3


def prepare(reader: AnyReader, config: DatasetSection, *, name: str, raw: Path, packed: Path) -> DatasetInfo:
    """Read `raw`, write `packed`.

    Raises DatasetError if more than `max_damaged_share` of the clips are damaged, or if nothing was dropped
    and the counts are still not the known ones.
    """
    protocols = reader.protocols(config)
    dropped: list[Dropped] = []
    with PackedWriter(packed, reader.layout, reader.persons) as writer:
        clips = reader.read(config, raw)
        for clip in progress(clips, name=f"preprocess {name}", unit="clip", total=reader.count(config, raw)):
            if isinstance(clip, Dropped):
                dropped.append(clip)
            else:
                writer.add(clip)
        check_damage(name, dropped, num_read=writer.num_clips + len(dropped), most=config.max_damaged_share)
        expected = reader.expected(config)
        if expected is not None and not dropped:
            wrong = differences(writer.table(protocols), writer.num_frames, expected)
            if wrong:
                raise DatasetError(f"{name} is not what it should be: {'; '.join(wrong)}: run download again")
        return writer.finish(
            name=name,
            class_names=reader.class_names(config),
            protocols=protocols,
            mirror_keeps_label=reader.mirror_keeps_label,
            complete=config.complete and not dropped,
            dropped=dropped,
        )


def check_damage(name: str, dropped: Sequence[Dropped], *, num_read: int, most: float) -> None:
    """Raise DatasetError if more than the share `most` of the clips read is damaged."""
    if num_read and len(dropped) > most * num_read:
        first = "; ".join(f"{clip.name} ({clip.reason})" for clip in dropped[:_NAMED_DROPS])
        more = "; ..." if len(dropped) > _NAMED_DROPS else ""
        raise DatasetError(
            f"{name}: {len(dropped)} of {num_read} clips are damaged, at most the share {most:g} may be: "
            f"{first}{more}. Get the files again, or raise datasets.{name}.max_damaged_share in params.yaml"
        )
