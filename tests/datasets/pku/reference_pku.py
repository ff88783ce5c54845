"""PKU-MMD read slowly, as DATASETS.md sections 6 to 8 describe it: what the fast reader must agree with."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Instance:
    """One label row of one video."""

    name: str
    label: int  # as in the file
    camera: int
    subject: int
    start: int
    end: int
    confidence: int
    joints: np.ndarray  # (T, 2, 25, 3)
    present: np.ndarray  # (T, 2)


def read_instances(
    recordings: dict[str, bytes], labels: dict[str, bytes], *, interval: str
) -> list[Instance]:
    """All instances, those without anybody too, in the order of the recordings and of the rows."""
    instances = []
    for video, text in recordings.items():
        frames = [
            [float(word) for word in line.split()[:150]] for line in text.decode().split("\n") if line.strip()
        ]
        rows = [line for line in labels[video].decode().split("\n") if line.strip()]
        for number, row in enumerate(rows, start=1):
            label, start, end, confidence = (int(value) for value in row.split(","))
            first = start - 1 if interval == "one_based_inclusive" else start
            joints = np.zeros((end - first, 2, 25, 3), np.float32)
            present = np.zeros((end - first, 2), bool)
            for frame in range(first, end):
                for body in range(2):
                    for joint in range(25):
                        for axis in range(3):
                            value = frames[frame][75 * body + 3 * joint + axis]
                            joints[frame - first, body, joint, axis] = value
                            present[frame - first, body] |= value != 0
            instances.append(
                Instance(
                    name=f"{video}_{number:03d}",
                    label=label,
                    camera="LMR".index(video[-1]) + 1,
                    subject=int(video[4:6]) if video[0] == "A" else int(video[:4]),
                    start=start,
                    end=end,
                    confidence=confidence,
                    joints=joints,
                    present=present,
                )
            )
    return instances


def read_parts(split: bytes) -> dict[str, str]:
    """Video -> train or test, by a split file: a heading, videos to train on, a heading, those to test on."""
    _, train, _, test = split.decode().splitlines()
    parts = dict.fromkeys((name.strip() for name in train.split(",") if name.strip()), "train")
    return parts | dict.fromkeys((name.strip() for name in test.split(",") if name.strip()), "test")
