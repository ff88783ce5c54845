import pytest
import torch

from kinemask.hardware import DeviceError, HardwareConfig, require_device


def test_the_cpu_is_always_there():
    require_device("cpu")


def test_a_gpu_that_is_not_there_is_said_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    require_device("cuda")
    require_device("cuda:0")
    with pytest.raises(DeviceError, match=r"cuda:1, but torch .* sees 1 CUDA device"):
        require_device("cuda:1")


def test_precisions_of_other_names_are_refused():
    with pytest.raises(ValueError, match="'float32' or 'bfloat16'"):
        HardwareConfig(device="cpu", processes=1, threads=1, precision="float16", compile=False)


def test_devices_of_other_names_are_refused():
    with pytest.raises(ValueError, match="pattern"):
        HardwareConfig(device="gpu", processes=1, threads=1, precision="float32", compile=False)
