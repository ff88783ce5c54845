"""Downloads that go on where they stopped."""

import time
from collections.abc import Iterable
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from kinemask.progress import byte_progress
from kinemask.storage import writing

CONNECT_SECONDS = 4.0  # a closed network must not hold anybody up
READ_SECONDS = 60.0
ATTEMPTS = 5  # in a row without a single new byte
PAUSE_SECONDS = 1.0  # doubled after each such attempt
_CHUNK_BYTES = 1 << 16


class DownloadError(RuntimeError):
    """A source gave nothing; the message is the reason only."""


class NotThereError(DownloadError):
    """The server answers, and has no such file."""


def download(url: str, part: Path, *, name: str) -> None:
    """Fill `part` from the URL, after the bytes it holds already.

    Raises DownloadError if the source cannot be reached or stops answering, then `part` keeps what came; and
    StorageError if `part` cannot be written. Whether the bytes are the right ones is for the caller to check.
    """
    begun_with = _size(part)
    fruitless = 0
    with _session() as session:
        while True:
            before = _size(part)
            try:
                _receive(session, url, part, name)
                return
            except requests.HTTPError as error:
                status = error.response.status_code
                kind = NotThereError if status in (404, 410) else DownloadError
                raise kind(f"answers {status} {error.response.reason}") from error
            except requests.RequestException as error:
                fruitless = 0 if _size(part) > before else fruitless + 1
                if _size(part) == begun_with or fruitless == ATTEMPTS:
                    raise DownloadError(_reason(error)) from error
            time.sleep(PAUSE_SECONDS * (2**fruitless - 1))


def _session() -> requests.Session:
    session = requests.Session()
    retry = Retry(
        total=3, connect=0, read=1, status=3, status_forcelist=(429, 500, 502, 503, 504),
        backoff_factor=0.3, raise_on_status=False,
    )  # fmt: skip
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    return session


def _receive(session: requests.Session, url: str, part: Path, name: str) -> None:
    done = _size(part)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    timeout = (CONNECT_SECONDS, READ_SECONDS)
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is left to send, or `part` is another file: its checksum will tell
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            done = 0  # the server knows no ranges and sends the whole file
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            raise DownloadError(f"sends {response.headers.get('Content-Range')!r}, asked for bytes {done}-")
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        chunks = byte_progress(
            response.iter_content(_CHUNK_BYTES), name=f"download {name}", total=total, done=done
        )
        write_chunks(chunks, part, fresh=done == 0)


def write_chunks(chunks: Iterable[bytes], part: Path, *, fresh: bool) -> None:
    """Write the chunks to `part`, or append them. Raises StorageError if the disk does not take them."""
    with writing(part):
        part.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("wb" if fresh else "ab", buffering=0)
    with file:
        for chunk in chunks:
            with writing(part):
                file.write(chunk)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: requests.RequestException) -> str:
    """The innermost cause in a few words: the outer ones repeat the address."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return f"cannot be reached: {' '.join(str(cause).split())}"
