"""Small recordings of users' own: a waving body of any layout, in all formats."""

from pathlib import Path

import numpy as np

from kinemask.skeleton.layout import Layout
from tests.datasets.conftest import skeleton_text


def waving(layout: Layout, *, num_frames: int = 20, seed: int = 0, speed: float = 0.3) -> np.ndarray:
    """(T, V, 3) metres: joints at fixed places, 1.6 m from first to last, that swing by a hand's breadth."""
    rng = np.random.default_rng(seed)
    rest = np.stack([rng.normal(0, 0.2, layout.num_joints), np.linspace(0.1, 1.7, layout.num_joints)], axis=1)
    rest = np.pad(rest, ((0, 0), (0, 1)), constant_values=2.5)
    phase = speed * np.arange(num_frames)[:, None, None] + np.arange(layout.num_joints)[:, None]
    return rest + 0.1 * np.sin(phase + rng.uniform(0, 1, (1, 1, 3)))


def bvh_text(layout: Layout, joints: np.ndarray, names: dict[str, str] | None = None) -> str:
    """A file with position channels for all joints and no turns, so that its arithmetic is easy."""
    called = [(names or {}).get(joint, joint) for joint in layout.joints]
    order: list[int] = []

    def write(joint: int, depth: int) -> list[str]:
        order.append(joint)
        pad, word = "\t" * depth, "JOINT" if depth else "ROOT"
        lines = [f"{pad}{word} {called[joint]}", f"{pad}{{", f"{pad}\tOFFSET 9 9 9"]
        lines += [f"{pad}\tCHANNELS 3 Xposition Yposition Zposition"]
        children = [c for c, p in enumerate(layout.parents) if p == joint and c != joint]
        for child in children:
            lines += write(child, depth + 1)
        if not children:
            lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET 0 0.1 0", f"{pad}\t}}"]
        return [*lines, f"{pad}}}"]

    tree = write(layout.root, 0)
    local = joints - joints[:, list(layout.parents)]
    local[:, layout.root] = joints[:, layout.root]
    rows = [" ".join(f"{value:.6f}" for value in frame) for frame in local[:, order].reshape(len(joints), -1)]
    head = ["MOTION", f"Frames: {len(rows)}", "Frame Time: 0.033333"]
    return "\n".join(["HIERARCHY", *tree, *head, *rows]) + "\n"


def write_recording(path: Path, layout: Layout, joints: np.ndarray) -> None:
    """In the format of the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, joints)
    elif path.suffix == ".csv":
        header = [f"{joint}_{axis}" for joint in layout.joints for axis in "xyz"]
        rows = [",".join(map(repr, frame)) for frame in joints.reshape(len(joints), -1).tolist()]
        path.write_text("\n".join([",".join(header), *rows]) + "\n")
    elif path.suffix == ".bvh":
        path.write_text(bvh_text(layout, joints))
    else:
        path.write_bytes(skeleton_text([[("1", frame)] for frame in joints]))
