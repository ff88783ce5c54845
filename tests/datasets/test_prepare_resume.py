"""Processes and interruptions change no byte of a packed dataset."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from kinemask import workers
from kinemask.datasets import prepare as prepare_module
from kinemask.datasets.prepare import prepare
from kinemask.datasets.reader import DatasetError
from kinemask.workers import WorkerKilled
from tests.datasets.generated import READER, STARTS, GeneratedConfig, make_config

FILES = ("joints.npy", "present.npy", "clips.parquet", "dataset.json")
ROOT = Path(__file__).parents[2]
# What the subprocesses run: `prepare` as a stage does it, with Ctrl-C told in one line.
PROGRAM = """
import sys
from pathlib import Path
from kinemask.datasets.prepare import prepare
from tests.datasets.generated import READER, GeneratedConfig
if __name__ == "__main__":
    root, processes, text = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    config = GeneratedConfig.model_validate_json(text)
    try:
        prepare(READER, config, name="tiny", raw=root / "raw", packed=root / "tiny", processes=processes)
    except KeyboardInterrupt:
        sys.exit("interrupted")
"""


def _bytes(root: Path) -> list[bytes]:
    return [(root / "tiny" / name).read_bytes() for name in FILES]


def _prepare(root: Path, config: GeneratedConfig, *, processes: int | None = 1) -> list[bytes]:
    READER.fetch(config, "tiny", root / "raw", [])
    prepare(READER, config, name="tiny", raw=root / "raw", packed=root / "tiny", processes=processes)
    return _bytes(root)


def _start(root: Path, config: GeneratedConfig, *, processes: int) -> subprocess.Popen[str]:
    """`prepare` in a process group of its own, as the terminal has it."""
    raw = root / "raw"
    if not raw.exists():
        READER.fetch(config, "tiny", raw, [])
    script = root / "script.py"
    script.write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    words = [sys.executable, str(script), str(root), str(processes), config.model_dump_json()]
    return subprocess.Popen(words, env=environment, start_new_session=True, stderr=subprocess.PIPE, text=True)


def _wait_for_recordings(root: Path, num: int) -> None:
    journal = root / ".tiny.journal"
    end = time.monotonic() + 120  # to start takes long on a busy machine
    while time.monotonic() < end:
        if journal.exists() and journal.read_bytes().count(b"\n") > num:
            return
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {num} recordings")


def _gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=60)
    return not alive


def test_the_number_of_processes_changes_no_byte(tmp_path: Path) -> None:
    config = make_config(recordings=100, damaged=(3, 50), share=0.1)
    assert _prepare(tmp_path / "one", config, processes=1) == _prepare(tmp_path / "two", config, processes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_it_goes_on_to_the_same_bytes(tmp_path: Path, processes: int) -> None:
    config = make_config(recordings=150, damaged=(3, 149), share=0.1, seconds=0.01)
    undisturbed = _prepare(tmp_path / "undisturbed", config)
    root = tmp_path / "killed"
    root.mkdir()
    for num in (20, 60):  # killed twice, the second time in a run that goes on
        process = _start(root, config, processes=processes)
        _wait_for_recordings(root, num)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        assert _gone(workers)
        assert not (root / "tiny").exists()
    STARTS.clear()
    prepare(READER, config, name="tiny", raw=root / "raw", packed=root / "tiny", processes=1)
    assert 60 <= STARTS[0] < 150
    assert _bytes(root) == undisturbed


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_ends_all_at_once_in_one_line_and_keeps_what_is_done(tmp_path: Path, processes: int) -> None:
    # To read them all takes 150 seconds at least on any machine: the limit below, generous to a busy one, is
    # far from that.
    config = make_config(recordings=30_000, seconds=0.01)
    process = _start(tmp_path, config, processes=processes)
    try:
        _wait_for_recordings(tmp_path, 20)
        workers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        _, told = process.communicate(timeout=60)
    finally:
        process.kill()
    assert told.splitlines()[-1] == "interrupted", told
    assert "Traceback" not in told
    assert "| 0/40000" in told
    assert _gone(workers)
    done = (tmp_path / ".tiny.journal").read_bytes().count(b"\n") - 1
    assert done >= 20
    process = _start(tmp_path, config, processes=processes)
    _wait_for_recordings(tmp_path, done + 20)
    process.kill()
    _, told = process.communicate()
    clips = done + done // 3
    assert f"| {clips}/40000" in told
    assert "| 0/40000" not in told


def test_a_killed_worker_is_one_line_with_a_cure_and_what_is_done_is_kept(tmp_path: Path) -> None:
    config = make_config(recordings=200, killer=150)
    with pytest.raises(
        WorkerKilled, match=r"^preprocess tiny: a process was killed, often for want of memory: run again"
    ) as raised:
        _prepare(tmp_path, config, processes=2)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "tiny").exists()
    STARTS.clear()
    with pytest.raises(WorkerKilled):
        prepare(READER, config, name="tiny", raw=tmp_path / "raw", packed=tmp_path / "tiny", processes=2)
    assert STARTS[0] > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: {"damaged": (7,), "share": 1.0},
        lambda raw: {"recordings": 151},
        lambda raw: (
            (raw / "source.json").write_text((raw / "source.json").read_text().replace("12ab", "34cd")) and {}
        ),
        lambda raw: (raw / "archive.zip").write_bytes(b"exchanged") and {},
    ],
)
def test_with_anything_changed_it_starts_afresh(tmp_path: Path, change) -> None:
    process = _start(tmp_path, make_config(recordings=150, seconds=0.01), processes=1)
    _wait_for_recordings(tmp_path, 20)
    process.kill()
    process.communicate()
    STARTS.clear()
    changed = {"recordings": 150, "seconds": 0.01} | change(tmp_path / "raw")
    config = make_config(**changed)
    prepare(READER, config, name="tiny", raw=tmp_path / "raw", packed=tmp_path / "tiny", processes=1)
    assert STARTS == [0]


def test_a_file_that_was_mended_is_read_again_even_if_its_size_and_time_are_kept(tmp_path: Path) -> None:
    config = make_config(recordings=4, damaged=(0,))
    archive = tmp_path / "raw" / "archive.zip"
    archive.parent.mkdir()
    archive.write_bytes(b"damaged")
    before = archive.stat()

    def fail() -> list[int]:
        STARTS.clear()
        with pytest.raises(DatasetError, match="1 of 5"):
            _prepare(tmp_path, config)
        return STARTS

    assert fail() == [0]
    assert fail() == []
    archive.write_bytes(b"mended!")
    os.utime(archive, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fail() == [0]


@pytest.mark.parametrize(("worth", "processes"), [(0.1, 2), (1000.0, 1)])
def test_other_processes_start_where_much_is_left_to_read_however_few_recordings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worth: float, processes: int
) -> None:
    started: list[int] = []

    def ordered_map(*args, processes: int, **options):
        started.append(processes)
        return workers.ordered_map(*args, processes=processes, **options)

    monkeypatch.setattr(prepare_module, "ordered_map", ordered_map)
    monkeypatch.setattr(prepare_module, "_ALONE_SECONDS", 0.1)
    monkeypatch.setattr(workers, "_WORTH_SECONDS", worth)
    monkeypatch.setattr(workers, "usable_cores", lambda: 2)
    config = make_config(recordings=40, seconds=0.02)
    by_themselves = _prepare(tmp_path / "self", config, processes=None)
    assert started == [processes]
    assert _prepare(tmp_path / "one", config, processes=1) == by_themselves


PEAK = """
import resource
import sys
from pathlib import Path
from kinemask.datasets.prepare import prepare
from tests.datasets.generated import READER, GeneratedConfig
root, config = Path(sys.argv[1]), GeneratedConfig.model_validate_json(sys.argv[2])
READER.fetch(config, "tiny", root / "raw", [])
prepare(READER, config, name="tiny", raw=root / "raw", packed=root / "tiny", processes=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _peak_mib(root: Path, num: int) -> float:
    root.mkdir()
    script = root / "script.py"
    script.write_text(PEAK)
    words = [
        sys.executable,
        str(script),
        str(root),
        make_config(recordings=num, frames=300).model_dump_json(),
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "TQDM_DISABLE": "1"}
    return int(subprocess.run(words, env=environment, capture_output=True, check=True).stdout) / 1024


def test_memory_grows_with_names_and_not_with_frames(tmp_path: Path) -> None:
    num = 300
    more = _peak_mib(tmp_path / "two", 2 * num) - _peak_mib(tmp_path / "one", num)
    arrays = (tmp_path / "two/tiny/joints.npy").stat().st_size - (
        tmp_path / "one/tiny/joints.npy"
    ).stat().st_size
    assert arrays / 2**20 > 60
    assert more < 10  # the names and the noise of an allocator


def test_with_nothing_changed_it_does_not(tmp_path: Path) -> None:
    config = make_config(recordings=150, seconds=0.01)
    process = _start(tmp_path, config, processes=1)
    _wait_for_recordings(tmp_path, 20)
    process.kill()
    process.communicate()
    STARTS.clear()
    prepare(READER, config, name="tiny", raw=tmp_path / "raw", packed=tmp_path / "tiny", processes=1)
    assert STARTS[0] >= 20
