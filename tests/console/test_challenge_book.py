"""What is remembered of challenges survives the console, belongs to its user alone, and a file that is not understood says so."""

import pytest

from console.challenge_book import Asked, ChallengeBook, Reference, Standing
from contracts.errors import HoldfastError

AGENT = "a" * 32


def test_what_was_written_is_read_by_another_process(tmp_path):
    kept = Standing(
        references=(Reference(nonce="00", learnt_ms=1, proofs={"/etc/x": "ff"}),),
        asked=(Asked(id="1", nonce="11", asked_ms=2),),
        outcome="held",
    )
    ChallengeBook(tmp_path / "c").write(AGENT, kept)
    assert ChallengeBook(tmp_path / "c").read(AGENT) == kept
    assert (tmp_path / "c" / AGENT).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert [each.name for each in (tmp_path / "c").iterdir()] == [AGENT]


def test_an_agent_nobody_asked_has_an_empty_standing(tmp_path):
    assert ChallengeBook(tmp_path).read(AGENT) == Standing()


def test_a_damaged_file_and_a_name_that_leads_elsewhere_are_errors(tmp_path):
    (tmp_path / AGENT).write_bytes(b"\xff\x00")
    for agent in (AGENT, "../x", ""):
        with pytest.raises(HoldfastError):
            ChallengeBook(tmp_path).read(agent)
