"""Importing ahead of time."""

import subprocess
import sys

import pytest

from agent.preload import ENCODINGS, LAZY, preload


def test_everything_named_is_there_afterwards():
    code = (
        "import sys; from agent.preload import preload; preload(['colorsys']);"
        "before = set(sys.modules); 'ä'.encode('idna'); import zoneinfo, json, tempfile; from datetime import datetime;"
        "datetime.strptime('1', '%d'); b'x'.decode('latin-1');"
        "assert 'colorsys' in sys.modules; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_a_module_that_does_not_exist_is_a_mistake_of_the_caller():
    with pytest.raises(ImportError):
        preload(["no_such_module"])


def test_the_list_names_each_once():
    assert len(set(LAZY)) == len(LAZY) and len(set(ENCODINGS)) == len(ENCODINGS)
