"""Kinds of files: file(1)'s words, after files can no longer be opened, too, and in bounded time whatever the bytes are."""

import ctypes
import os
import random
import resource
import time
from pathlib import Path

import pytest

from collectors.traffic.protocols import magic
from collectors.traffic.protocols.magic import LEAST, describe, load_library
from collectors.traffic.protocols.news import Fields, File
from collectors.traffic.rules.checking import check


def test_what_files_are_is_told_in_the_words_of_file() -> None:
    assert load_library()
    assert describe(b"%PDF-1.7\n" + bytes(600)).startswith(b"PDF document")
    assert describe(b"\x7fELF\x02\x01\x01" + bytes(600)).startswith(b"ELF 64-bit")
    assert describe(b"") == b""


def test_nothing_needs_to_be_opened_once_it_is_loaded() -> None:
    load_library()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        os._exit(0 if describe(b"%PDF-1.7\n").startswith(b"PDF document") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_no_bytes_take_long() -> None:
    chance = random.Random(3)
    odd = [b"\n", b" \n", b"{", b"\0", b"<", b"%!", b"a,b\n", b"From ", b"begin 644 a\n", b'\r\n.\\" ']
    for piece in [*odd, *(chance.randbytes(3) for _ in range(40))]:
        begun = time.process_time()
        describe(piece * (1 << 20))
        assert time.process_time() - begun < 1.0, piece


def test_a_file_is_looked_at_once_enough_of_it_is_there_and_not_again() -> None:
    tx = Fields(0, "smtp")
    file = File(False)
    tx.files.append(file)
    file.add(b"%PDF-1.7\n")
    assert tx.buffers("file.magic", False) == []
    file.add(bytes(LEAST))
    (kind,) = tx.buffers("file.magic", False)
    assert kind.startswith(b"PDF document")
    assert tx.buffers("file.magic", True) == []
    assert file.kind(b"#!/bin/sh\n" * 100) == kind, "it was looked at already"


def test_a_short_file_is_looked_at_when_it_is_whole() -> None:
    file = File(True)
    file.add(b"#!/bin/sh\necho\n")
    assert file.kind(file.beginning()) == b""
    file.close()
    assert b"shell script" in file.kind(file.beginning())


def test_without_the_library_nothing_is_said_and_its_rules_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "a.rules"
    path.write_text('alert http any any -> any any (filemagic:"PDF"; sid:1;)\n')
    assert len(check([path]).rules) == 1
    magic._loaded.cache_clear()
    with monkeypatch.context() as without:
        without.setattr(ctypes, "CDLL", _nothing)
        assert not load_library() and describe(b"%PDF-1.7\n") == b""
        (refused,) = check([path]).refused
    magic._loaded.cache_clear()
    assert (refused.sid, refused.reason) == (1, "file.magic: libmagic is not here; install libmagic1")


def _nothing(name: str) -> ctypes.CDLL:
    raise OSError(name)
