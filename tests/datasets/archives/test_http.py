"""Downloads go on where they stopped, and give up with a reason when nothing comes any more."""

import errno
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.archives import http
from kinemask.datasets.archives.http import DownloadError, NotThereError, download
from kinemask.storage import StorageError
from tests.datasets.conftest import Server

DATA = np.random.default_rng(0).bytes(400_000)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE_SECONDS", 0.0)


def test_file_arrives_whole(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    download(f"{server.url}/a", tmp_path / "new" / "a.part", name="a")
    assert (tmp_path / "new" / "a.part").read_bytes() == DATA
    assert server.requests == [("/a", None)]


def test_cut_connections_are_resumed_after_the_last_byte(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    server.cut_after = [150_000, 100_000]
    download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert (tmp_path / "a.part").read_bytes() == DATA
    ranges = [asked for _, asked in server.requests]
    assert ranges[0] is None
    assert len(ranges) == 3
    # What came in whole blocks of 64 KiB is not asked for again.
    assert int(str(ranges[1])[len("bytes=") : -1]) >= 131_072


def test_what_an_earlier_run_left_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    (tmp_path / "a.part").write_bytes(DATA[:123_456])
    download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert (tmp_path / "a.part").read_bytes() == DATA
    assert server.requests == [("/a", "bytes=123456-")]


def test_server_that_ignores_ranges_makes_a_clean_restart(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    server.knows_ranges = False
    (tmp_path / "a.part").write_bytes(b"x" * 1000)
    download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert (tmp_path / "a.part").read_bytes() == DATA


def test_whole_file_left_by_an_earlier_run_is_kept(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    (tmp_path / "a.part").write_bytes(DATA)
    download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert (tmp_path / "a.part").read_bytes() == DATA


def test_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    server.statuses = [503, 503]
    download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert (tmp_path / "a.part").read_bytes() == DATA


def test_absent_file_and_refusal_are_told_apart(server: Server, tmp_path: Path) -> None:
    with pytest.raises(NotThereError, match="404 Not Found"):
        download(f"{server.url}/a", tmp_path / "a.part", name="a")
    server.statuses = [403]
    with pytest.raises(DownloadError, match="403 Forbidden"):
        download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert not (tmp_path / "a.part").exists()


def test_server_that_always_cuts_at_once_is_given_up(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    server.cut_after = [100_000] + [0] * 100
    with pytest.raises(DownloadError, match="cannot be reached"):
        download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert len(server.requests) == 1 + http.ATTEMPTS
    assert DATA.startswith((tmp_path / "a.part").read_bytes())


def test_closed_port_fails_at_once_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
    began = time.monotonic()
    with pytest.raises(DownloadError, match="Connection refused") as raised:
        download(url, tmp_path / "a.part", name="a")
    assert time.monotonic() - began < 2
    assert "\n" not in str(raised.value)


def test_host_that_does_not_exist_fails_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match="Name or service not known"):
        download("http://nowhere.invalid/a", tmp_path / "a.part", name="a")


def test_full_disk_is_one_line_and_the_bytes_that_came_are_right(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    script = f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        from pathlib import Path
        from kinemask.datasets.archives.http import download
        from kinemask.storage import StorageError
        try:
            download("{server.url}/a", Path({str(tmp_path)!r}, "a.part"), name="a")
        except StorageError as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write {tmp_path}/a.part: File too large; free some space and run again\n"
    assert DATA.startswith((tmp_path / "a.part").read_bytes())
    download(f"{server.url}/a", tmp_path / "a.part", name="a")
    assert (tmp_path / "a.part").read_bytes() == DATA


def test_folder_that_cannot_be_written_is_one_line(server: Server, tmp_path: Path) -> None:
    server.files["/a"] = DATA
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write .*file/a\.part") as raised:
        download(f"{server.url}/a", tmp_path / "file" / "a.part", name="a")
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno in (errno.ENOTDIR, errno.EEXIST)
