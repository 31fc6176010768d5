"""A spooled answer is read whole or not at all, whatever a crash left behind."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution_arrow.providers.base import Reply
from execution_arrow.spool import read_spool, write_spool

REPLY = Reply(
    status=200, headers={"content-type": "image/png", "x": "ü"}, body=b"\x89PNG\n\r\n" + bytes(range(256))
)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a"
    write_spool(path, REPLY)
    assert read_spool(path) == REPLY
    write_spool(path, Reply(status=500))
    assert read_spool(path) == Reply(status=500)


def test_every_cut_reads_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_spool(path, REPLY)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_spool(path) is None
    path.write_bytes(whole + b"x")
    assert read_spool(path) is None


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_altered_byte_reads_as_nothing(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a"
    write_spool(path, REPLY)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    assert read_spool(path) is None


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    assert read_spool(tmp_path / "none") is None
    assert read_spool(tmp_path) is None
    digest = hashlib.sha256(b"[]\n").hexdigest().encode()
    (tmp_path / "foreign").write_bytes(b"spool.v1\n" + digest + b"\n[]\n")
    assert read_spool(tmp_path / "foreign") is None


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_spool(tmp_path / "a", REPLY)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_the_old_answer_or_the_new_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from execution_arrow.providers.base import Reply; "
        "from execution_arrow.spool import write_spool\n"
        "path, n = Path(sys.argv[1]), 0\n"
        "while True:\n"
        "    n += 1; write_spool(path, Reply(status=200, body=bytes([n % 251]) * 2_000_000))\n"
    )
    path = tmp_path / "a"
    for _ in range(2 * int(os.environ.get("N", "1"))):
        child = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.01)
        for _ in range(30):  # while it is replaced, again and again
            assert read_spool(path) is not None
        child.kill()
        child.wait()
        found = read_spool(path)
        assert found is not None
        assert len(set(found.body)) == 1
        assert len(found.body) == 2_000_000
