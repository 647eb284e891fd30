"""Getting and renewing the agent's certificate: key, signing request, token and pin. The agent's only user of `cryptography`.

The core runs this file as a child process (`python -m agent.enrolment renew --state DIR`), so that it stays small itself.

A token is `hf1.SECRET.PIN`, both parts base64url; PIN is the SHA-256 of the SubjectPublicKeyInfo of the console's authority. The
server's chain is fetched first, over a connection on which nothing is said; only if it holds the pinned authority, and a second
connection that trusts that authority alone verifies, the token is sent. The key is kept before it is used, so that a repeat after a lost
answer is the same request.
"""

import base64
import binascii
import hashlib
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.clock import Clock, SystemClock
from agent.identity import Credentials, Enrolment, Identity
from agent.transport import Answer, NotTrusted, Transport, address, context
from contracts.codec import UNDECODABLE
from contracts.errors import HoldfastError, Refused, Unreachable, UsageError
from contracts.host import Facts
from contracts.record import Record
from contracts.tolerant import Tolerant
from contracts.wire import Enrolled, EnrolRequest, Problem, RenewRequest

TIMEOUT_S = 20.0
_NEW_TOKEN = "make a new one on the console with `holdfast console token create`"


class BadToken(UsageError):
    """The text given is not an enrolment token."""


class Input(Record):
    """What the child process reads from its standard input to enrol, as JSON; a token does not belong on a command line."""

    url: str
    token: str
    facts: Facts
    version: str


def pin_of(token: str) -> bytes:
    """Return the pin in a token; raises `BadToken`."""
    parts = token.strip().split(".")
    if len(parts) != 3 or parts[0] != "hf1":
        raise BadToken("this is not an enrolment token", advice="copy the whole token, from hf1. to its end")
    try:
        secret, pin = (
            base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in parts[1:]
        )
    except (binascii.Error, ValueError) as error:
        raise BadToken("the enrolment token is damaged", advice="copy the whole token again") from error
    if not secret or len(pin) != hashlib.sha256().digest_size:
        raise BadToken("the enrolment token is cut short", advice="copy the whole token again")
    return pin


def enrol(identity: Identity, asked: Input, clock: Clock, timeout_s: float = TIMEOUT_S) -> Enrolment:
    """Enrol at the console and install the certificate; the same call again does no harm.

    Raises `BadToken`, `UsageError` (address), `NotTrusted` (wrong pin), `Refused` (token expired, unknown, used, agent revoked),
    `Unreachable`.
    """
    token = asked.token.strip()
    pin = pin_of(token)
    authority = pinned_authority(asked.url, pin, timeout_s)
    key = _key_for_enrolment(identity)
    request = EnrolRequest(token=token, csr=_request(key, identity.agent), facts=asked.facts, version=asked.version)
    transport = Transport(asked.url, context(authority), timeout_s)
    try:
        answer = transport.post("/v1/enrol", msgspec.msgpack.encode(request))
    finally:
        transport.close()
    return _install(identity, "enrol", asked.url, key, answer, clock)


def renew(identity: Identity, clock: Clock, timeout_s: float = TIMEOUT_S) -> Enrolment:
    """Get a certificate for a fresh key over a connection that proves the present one, and swap both at once.

    Raises `Refused` (revoked, or never enrolled), `NotTrusted`, `Unreachable`.
    """
    credentials = identity.credentials()
    if credentials is None:
        raise Refused("this agent is not enrolled", advice="run `holdfast enroll` with a token first")
    key = identity.pending_key("renew")
    if key is None:
        key = _new_key()
        identity.keep_pending("renew", key)
    request = RenewRequest(csr=_request(key, identity.agent))
    transport = Transport(credentials.enrolment.url, own_context(credentials), timeout_s)
    try:
        answer = transport.post("/v1/renew", msgspec.msgpack.encode(request))
    finally:
        transport.close()
    return _install(identity, "renew", credentials.enrolment.url, key, answer, clock)


def own_context(credentials: Credentials) -> ssl.SSLContext:
    """Return the TLS context of an enrolled agent."""
    return context(Path(credentials.authority).read_text("ascii"), credentials.certificate, credentials.key)


def pinned_authority(url: str, pin: bytes, timeout_s: float) -> str:
    """Return the authority (PEM) in the chain of the server at `url` that the pin names; nothing is sent to the server.

    Raises `NotTrusted` when it is not there, and `Unreachable`.
    """
    host, port = address(url)
    # Nothing is verified and nothing is said here: this connection only shows certificates, and the pin decides.
    look = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    look.minimum_version = ssl.TLSVersion.TLSv1_3
    look.check_hostname = False
    look.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout_s) as plain,
            look.wrap_socket(plain, server_hostname=host) as tls,
        ):
            shown = _shown_chain(tls)
    except ssl.SSLError as error:
        advice = "check that the address is that of the console's listener for agents"
        raise Unreachable(f"{host}:{port} does not speak TLS 1.3: {error.reason or error}", advice=advice) from error
    except (OSError, UnicodeError) as error:
        reason = (
            "it does not answer in time"
            if isinstance(error, TimeoutError)
            else str(getattr(error, "strerror", None) or error).lower()
        )
        advice = "check the address, that the console runs, and the firewalls between here and there"
        raise Unreachable(f"the console at {host}:{port} is not reachable: {reason}", advice=advice) from error
    for der in shown:
        if _pin(der) == pin:
            return ssl.DER_cert_to_PEM_cert(der)
    raise NotTrusted(
        f"{host}:{port} is not the console that made this token: it does not show the authority that the token pins",
        advice=f"check the address; if the console was set up anew, {_NEW_TOKEN}; the token was not sent",
    )


def _shown_chain(tls: ssl.SSLSocket) -> list[bytes]:
    """Return the certificates that the server showed. Python has a public method for it from 3.13 on only."""
    public: Callable[[], list[bytes]] | None = getattr(tls, "get_unverified_chain", None)
    if public is not None:
        return public()
    shown = getattr(tls, "_sslobj").get_unverified_chain() or ()  # noqa: B009  # not known to type checkers
    return [certificate.public_bytes(2) for certificate in shown]  # 2: DER


def _pin(der: bytes) -> bytes:
    try:
        public = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).digest()


def _key_for_enrolment(identity: Identity) -> bytes:
    """Return the key of a request whose answer was lost, else the present one (the console knows this agent by it), else a new one."""
    key = identity.pending_key("enrol")
    if key is None:
        credentials = identity.credentials()
        key = Path(credentials.key).read_bytes() if credentials else _new_key()
        identity.keep_pending("enrol", key)
    return key


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(key: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        loaded = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Refused("the agent's key file is damaged", advice="run `holdfast enroll` with --new-identity") from error
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise Refused("the agent's key is of another type", advice="run `holdfast enroll` with --new-identity")
    return loaded


def _request(key: bytes, agent: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, agent)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(_load_key(key), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def _install(identity: Identity, purpose: str, url: str, key: bytes, answer: Answer, clock: Clock) -> Enrolment:
    """Check what the console answered and make it the agent's identity."""
    if answer.status != 200:
        raise _refusal(answer)
    try:
        enrolled = Tolerant(Enrolled).decode(answer.body)
    except UNDECODABLE as error:
        raise Unreachable(
            f"the console's answer does not decode: {error}", advice="check that both have versions that fit"
        ) from error
    _check(enrolled, identity.agent, key)
    enrolment = Enrolment(
        agent=identity.agent,
        url=url.rstrip("/"),
        renew_after_ms=enrolled.renew_after_ms,
        enrolled_ms=clock.now_ms(),
    )
    identity.install(purpose, enrolment, key, enrolled.certificate, enrolled.authority)
    return enrolment


def _refusal(answer: Answer) -> HoldfastError:
    try:
        problem = Tolerant(Problem).decode(answer.body)
    except UNDECODABLE:
        return Unreachable(
            f"the server answered {answer.status} and not as a console does",
            advice="check that the address is the console's port for agents",
        )
    if answer.status in (429, 503) or answer.status >= 500:
        return Unreachable(
            f"the console cannot do it now: {problem.error}", advice=problem.advice or "try again in a minute"
        )
    return Refused(f"the console refused: {problem.error}", advice=problem.advice)


def _check(enrolled: Enrolled, agent: str, key: bytes) -> None:
    """Raise `NotTrusted` unless the certificate is for this key and this agent and signed by the authority that came with it."""
    try:
        certificate = x509.load_pem_x509_certificates(enrolled.certificate)[0]
        roots = x509.load_pem_x509_certificates(enrolled.authority)
    except ValueError as error:
        raise NotTrusted(f"the console's answer holds no certificate: {error}") from error
    if certificate.public_key() != _load_key(key).public_key():
        raise NotTrusted("the console answered with a certificate for another key", advice="try again")
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [agent] or enrolled.agent != agent:
        raise NotTrusted(f"the console answered with a certificate for {', '.join(names)}, and this agent is {agent}")
    if not any(_signed_by(certificate, root) for root in roots):
        raise NotTrusted("the console answered with a certificate that its own authority did not sign")


def _signed_by(certificate: x509.Certificate, root: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def main(words: list[str]) -> int:
    """Run as the core's child: `renew --state DIR`, or `enrol --state DIR` with `Input` on standard input; one line says what failed."""
    if len(words) != 3 or words[0] not in ("enrol", "renew") or words[1] != "--state":
        sys.stderr.write("usage: python -m agent.enrolment enrol|renew --state DIR\n")
        return 2
    clock = SystemClock()
    try:
        identity = Identity(Path(words[2]), clock)
        if words[0] == "enrol":
            enrol(identity, msgspec.json.decode(sys.stdin.buffer.read(64 << 10), type=Input), clock)
        else:
            renew(identity, clock)
    except UNDECODABLE as error:
        sys.stderr.write(f"what to enrol with does not decode: {error}\n")
        return 2
    except HoldfastError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
