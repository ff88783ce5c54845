"""How many simulated clips a second: people alone and in pairs, short and long clips, and how they are made.

    python tests/benchmarks/simulation.py --repeats 5

CPU seconds of one thread, the least of all repeats; on a GPU (`--device cuda`) wall seconds. Beside it the
simulator of kinesim, which has the same kinematics and works clip by clip. Writes simulation.csv.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

ROOT = Path(__file__).parents[2]

import sys  # noqa: E402

sys.path.insert(0, str(ROOT))

from kinemask.datasets.raw_kinesim import Simulation, clip_keys  # noqa: E402
from kinemask.methods.twins_config import TwinsConfig  # noqa: E402
from kinemask.params import check  # noqa: E402
from kinemask.simulation.anatomy import anatomy_of  # noqa: E402
from kinemask.simulation.people import simulate  # noqa: E402
from kinemask.skeleton.rest_pose import RESTS  # noqa: E402
from tests.benchmarks.machine import commit, processor  # noqa: E402

_PROGRAMMES = 128


def seconds(task: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The least of all repeats, after one to warm up."""
    task()
    found = []
    for _ in range(repeats):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        began = time.perf_counter() if device.type == "cuda" else time.process_time()
        task()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found.append((time.perf_counter() if device.type == "cuda" else time.process_time()) - began)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--programmes", type=int, default=_PROGRAMMES)
    parser.add_argument("--out", type=Path, default=ROOT / "reports/speed")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(asked.device)
    params = check(ROOT / "params.yaml")
    config = params.methods["twins"].small.method
    assert isinstance(config, TwinsConfig)
    assert config.simulated is not None
    anatomy = anatomy_of(RESTS["kinect25"], device)
    rows = []
    for num_persons, num_frames in ((1, 16), (1, 64), (2, 16), (2, 64)):
        generator = torch.Generator(device).manual_seed(0)

        def task(num_persons: int = num_persons, num_frames: int = num_frames, rng=generator) -> None:
            simulate(
                asked.programmes, 2, config=config.simulated.people, anatomy=anatomy, num_persons=num_persons,
                num_frames=num_frames, may_mirror=True, generator=rng,
            )  # fmt: skip

        took = seconds(task, device, asked.repeats)
        rows.append((f"twins, {num_persons} person(s), {num_frames} frames", 2 * asked.programmes / took))
    kinesim = params.datasets["kinesim"]
    keys = [key for key in clip_keys(kinesim) if key.camera == 1][:40]
    took = seconds(lambda: [*map(Simulation(kinesim).performance, keys)], torch.device("cpu"), 1)
    rows.append(("kinesim, one clip at a time, no file", len(keys) / took))
    table = pd.DataFrame(rows, columns=["what", "clips_per_s"]).round({"clips_per_s": 0})
    where = processor() if device.type == "cpu" else torch.cuda.get_device_name(device)
    table = table.assign(device=where, torch=torch.__version__, commit=commit())
    asked.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(asked.out / "simulation.csv", index=False)
    sys.stdout.write(f"{table.to_string(index=False)}\n")


if __name__ == "__main__":
    main()
