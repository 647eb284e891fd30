"""`holdfast worker NAME` leaves the command line library behind."""

import os
import sys

from click.testing import CliRunner

from agent.cli.worker import worker


def test_it_becomes_the_worker_in_the_same_process(monkeypatch):
    called = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: called.append((path, arguments)))
    assert CliRunner().invoke(worker, ["reader"]).exit_code == 0
    assert called == [(sys.executable, [sys.executable, "-I", "-m", "agent.worker_main", "reader"])]


def test_it_is_not_shown_to_people():
    assert worker.hidden
