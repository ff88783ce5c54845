"""Small real files: `.skeleton` texts, archives, and a server here that cuts connections when told to."""

import http.server
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from kinemask.datasets.reader import Reading
from kinemask.skeleton.clip import Clip
from kinemask.skeleton.packed import Dropped

Body = tuple[str, np.ndarray]  # id, joints (V, 3)


def skeleton_text(frames: Sequence[Sequence[Body]]) -> bytes:
    """The text of a `.skeleton` file."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for body, joints in bodies:
            lines += [f"{body} 0 1 1 1 1 0 0.03 -0.2 2", str(len(joints))]
            lines += [f"{x!r} {y!r} {z!r} 1 2 3 4 0 0 0 1 2" for x, y, z in joints.astype(float).tolist()]
    return ("\n".join(lines) + "\n").encode()


def write_zip(path: Path, files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def read_all(reading: Reading) -> list[Clip | Dropped]:
    """What all recordings of a raw folder hold."""
    found = [item for recording in reading.recordings(0) for item in reading.read(recording)]
    assert len(found) == reading.num_clips
    return found


@dataclass
class Server:
    """Serves `files`; what it was asked stands in `requests` as (path, the Range header or nothing)."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    knows_ranges: bool = True
    cut_after: list[int] = field(default_factory=list)  # bytes to send before cutting, one entry an answer
    statuses: list[int] = field(default_factory=list)  # error answers to give first


def _handler(server: Callable[[], Server]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state = server()
            state.requests.append((self.path, self.headers.get("Range")))
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            data = state.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            start = 0
            if state.knows_ranges and "Range" in self.headers:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                if start >= len(data):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            stop = start + state.cut_after.pop(0) if state.cut_after else len(data)
            self.wfile.write(data[start:stop])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on the loopback interface for the time of a test."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: state)) as httpd:
        state = Server(f"http://127.0.0.1:{httpd.server_address[1]}")
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()
