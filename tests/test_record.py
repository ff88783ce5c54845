import hashlib
from pathlib import Path

from kinemask.hardware import HardwareConfig
from kinemask.record import Clock, hash_files, make_record, read_records
from kinemask.section import Section


class Params(Section):
    epochs: int
    hardware: HardwareConfig


HARDWARE = HardwareConfig(device="cpu", processes=2, threads=1, precision="float32", compile=False)


def make_one(**changes):
    fields = {
        "stage": "linear",
        "subject": "tiny-xsub",
        "method": "mtmc",
        "seed": 4,
        "params": Params(epochs=3, hardware=HARDWARE),
        "metrics": {"pooling=mean": {"top1": 0.5}},
        "history": [{"step": 1, "loss": 2.0}],
        "inputs": {"data": "0" * 64},
        "hardware": HARDWARE,
        "clock": Clock(),
    }
    return make_record(**{**fields, **changes})


def test_a_record_read_again_is_the_record_written(tmp_path):
    first, second = make_one(), make_one(stage="split", method=None, seed=None)
    for record in (first, second):
        record.write(tmp_path)
    assert read_records(tmp_path) == [first, second]
    assert first.path == Path("records/linear/tiny-xsub/mtmc/seed-4.json")
    assert second.path == Path("records/split/tiny-xsub/record.json")


def test_hardware_stands_beside_the_params_and_not_among_them():
    record = make_one()
    assert record.params == {"epochs": 3}
    assert record.hardware == {
        "device": "cpu",
        "processes": 2,
        "threads": 1,
        "precision": "float32",
        "compile": False,
    }


def test_files_are_named_and_hashed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/clips.npy").write_bytes(b"frames")
    assert hash_files([Path("data/clips.npy")]) == {"data/clips.npy": hashlib.sha256(b"frames").hexdigest()}
