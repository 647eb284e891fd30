"""Microsoft Defender as its tool answers: recorded answers, because the product itself cannot be installed here."""

import json

import pytest

from analysis.antivirus import defender as health
from analysis.antivirus.standing import findings
from collectors.antivirus import defender
from collectors.antivirus.options import Options
from contracts.errors import Malformed
from host.fake import FakeHost

LINE = "mdatp health --output json"
SAID = {
    "healthy": True,
    "healthIssues": [],
    "engineVersion": "1.1.24090.4",
    "definitionsVersion": "1.419.163.0",
    "definitionsUpdatedMinutesAgo": 90,
    "realTimeProtectionEnabled": {"value": False, "managedBy": "admin"},
}


@pytest.fixture
def host(tmp_path):
    host = FakeHost(tmp_path)
    host.commands.answers = {LINE: {"stdout": json.dumps(SAID).encode()}}
    return host


def test_its_age_and_its_protection_are_read(host):
    row = defender.look(host, Options(), [])
    now_ms = host.now().timestamp() * 1000
    assert row.built_ms == now_ms - 90 * 60_000 and row.protects is False
    assert row.engine == "1.1.24090.4" and "1.419.163.0" in row.updater.detail


def test_one_without_a_licence_does_not_protect_whatever_else_it_says(host):
    """As `mdatp health` answers on a host whose licence has gone: definitions are new, and protection is called enabled."""
    ill = {"healthy": False, "healthIssues": ["missing license"], "licensed": False}
    said = json.dumps(SAID | ill | {"realTimeProtectionEnabled": {"value": True, "managedBy": None}})
    host.commands.answers = {LINE: {"stdout": said.encode()}}
    row = defender.look(host, Options(), [])
    found = findings({"defender": row}, {}, round(host.now().timestamp() * 1000))
    assert found["defender/protects"].kind == "antivirus.not_protecting"
    assert found["defender/protects"].detail == "it says that it is not healthy (missing license)"


def test_where_it_is_not_installed_there_is_no_row(host):
    host.commands.answers = {}
    assert defender.look(host, Options(), []) is None


@pytest.mark.parametrize(
    "answer", [{"stdout": b"not logged in"}, {"stdout": b"[]"}, {"unavailable": "timeout"}, {"stdout": b"{}"}]
)
def test_an_answer_that_says_nothing_is_unknown(host, answer):
    host.commands.answers = {LINE: answer}
    row = defender.look(host, Options(), [])
    assert row.unknown and row.built_ms == 0 and row.protects is None


def test_the_parser_refuses_what_is_not_json():
    with pytest.raises(Malformed):
        health.parse(b"\xff", 0)
