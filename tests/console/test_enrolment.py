"""Tokens and certificates: once, for one key, for the right host, and never for a guess."""

import ssl
import time
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from console.parts import now_ms
from contracts.wire import Ack, Batch, Enrolled, EnrolRequest, Problem


@pytest.fixture
def console(run_console: Any, console_settings: Any) -> Any:
    """A console for each test: guesses are limited per address, and every test comes from the same one."""
    return run_console(console_settings)


def ask(console: Any, body: bytes) -> tuple[int, Any]:
    status, answer = console.post("/v1/enrol", body)
    return status, msgspec.msgpack.decode(answer, type=Enrolled if status == 200 else Problem)


def test_a_token_admits_an_agent_that_then_reports(console: Any, stranger: Any, beat: Any) -> None:
    enrolled = console.enrol(stranger)
    assert enrolled.agent == stranger.name
    assert enrolled.authority == console.parts.authority.trusted()
    lifetime_ms = console.settings.agents.certificate_lifetime * 1000
    assert enrolled.renew_after_ms - now_ms() < lifetime_ms * 2 / 3
    assert isinstance(console.report(stranger, Batch(agent=stranger.name, heartbeat=beat())), Ack)
    assert "agent.enrolled" in [entry.what for entry in console.do(console.parts.store.audit_log())]


def test_the_same_token_with_the_same_key_gives_the_same_certificate_again(console: Any, stranger: Any) -> None:
    body = stranger.request(console.token())
    first, again = ask(console, body), ask(console, body)
    assert first[0] == again[0] == 200
    assert first[1].certificate == again[1].certificate


def test_the_same_token_with_another_key_is_refused(console: Any, stranger: Any, new_agent: Any) -> None:
    token = console.token()
    assert ask(console, stranger.request(token))[0] == 200
    assert ask(console, new_agent("7").request(token))[0] == 401
    stranger.key = ec.generate_private_key(ec.SECP256R1())
    status, refused = ask(console, stranger.request(token))
    assert (status, refused.permanent) == (401, True)
    assert "another key" in refused.error


def test_an_enrolled_name_is_not_given_to_another_key(console: Any, stranger: Any) -> None:
    console.enrol(stranger)
    stranger.key = ec.generate_private_key(ec.SECP256R1())
    assert ask(console, stranger.request(console.token()))[0] == 403


def test_a_revoked_agent_does_not_come_back_by_a_token(console: Any, stranger: Any) -> None:
    token = console.token()
    assert ask(console, stranger.request(token))[0] == 200
    console.do(console.parts.store.revoke_agent(stranger.name, now_ms()))
    assert ask(console, stranger.request(token))[0] == 403
    assert ask(console, stranger.request(console.token()))[0] == 403


def test_expired_and_revoked_tokens_are_refused(console: Any, stranger: Any) -> None:
    late = console.token(lifetime_s=0.001)
    time.sleep(0.01)
    status, refused = ask(console, stranger.request(late))
    assert (status, refused.error) == (401, "this enrolment token has expired")
    revoked = console.token()
    (one, *_) = console.do(console.parts.store.tokens())
    console.do(console.parts.store.revoke_token(one.id, now_ms()))
    assert "revoked" in ask(console, stranger.request(revoked))[1].error


def test_a_token_for_one_host_is_for_that_host(console: Any, stranger: Any) -> None:
    token = console.token(hostname="db-1")
    assert ask(console, stranger.request(token, "web-1"))[0] == 403
    assert ask(console, stranger.request(token, "db-1"))[0] == 200


def test_guesses_are_limited_and_written_down(console: Any, stranger: Any) -> None:
    parts = console.token().split(".")
    guess = ".".join([parts[0], "A" * 43, parts[2]])
    answers = [ask(console, stranger.request(guess))[0] for _ in range(14)]
    assert answers[0] == 401
    assert answers[-1] == 429
    refused = [entry for entry in console.do(console.parts.store.audit_log()) if entry.what == "enrol.refused"]
    assert 8 <= len(refused) <= 12
    assert refused[0].address == "127.0.0.1"


def test_requests_that_prove_nothing_are_refused(console: Any, stranger: Any, facts: Any) -> None:
    token = console.token()
    weak = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    other = ec.generate_private_key(ec.SECP384R1())
    der = bytearray(x509.load_pem_x509_csr(stranger.csr()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    forged = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST").encode()
    requests = (stranger.csr(key=weak), stranger.csr(key=other), forged, stranger.csr("../../root"), b"", b"-----")
    for csr in requests:
        body = msgspec.msgpack.encode(EnrolRequest(token=token, csr=csr, facts=facts(), version="1"))
        assert ask(console, body)[0] == 400
    assert ask(console, b"\xc1garbage")[0] == 400
    assert ask(console, stranger.request(token))[0] == 200


def test_many_at_once_with_one_token_admit_one_key(console: Any, tmp_path: Any, new_agent: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    token = console.token()
    agents = [new_agent(digit) for digit in "12345678"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: ask(console, one.request(token))[0], agents))
    assert sorted(answers)[:1] == [200]
    assert answers.count(200) == 1
