"""The console's own certificate authority: its keys, the certificates it issues, its renewal and its backup.

One root per generation, P-256, kept beside the database (`docs/decisions/0002-console-authority.md`). A renewal adds a generation: the new
root signs from then on, and is itself signed by the old one (`ca-N.cross.crt`), so that agents which know only the old root still accept
the console and learn the new one with their next certificate.
"""

import datetime as dt
import hashlib
import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contracts.errors import HoldfastError
from contracts.record import Record

ROOT_DAYS = 3650
SERVER_DAYS = 90
BACKDATE = dt.timedelta(hours=24)
"""Certificates begin in the past, so that a host whose clock is behind accepts them."""
AGENT_ID = re.compile(r"[0-9a-f]{32}")
_GENERATION = re.compile(r"ca-(\d{1,6})\.crt")


class BadRequest(HoldfastError):
    """A signing request that is not signed for."""


class Issued(Record):
    """A certificate that was just signed; `serial` as Python's `ssl` prints it, `key` SHA-256 of its public key."""

    serial: str
    pem: bytes
    key: bytes
    issued_ms: int
    ends_ms: int


class Generation(Record):
    """What is shown of one root. `pin` is SHA-256 of its public key in hex."""

    number: int
    subject: str
    pin: str
    begins_ms: int
    ends_ms: int


class _Root:
    def __init__(self, number: int, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, cross: bytes):
        self.number = number
        self.key = key
        self.certificate = certificate
        self.cross = cross
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs for agents and for the console's own listeners. The newest generation signs; all that have not ended are trusted."""

    def __init__(self, folder: Path, roots: Sequence[_Root]) -> None:
        self._folder = folder
        self._roots = list(roots)

    @classmethod
    def create(cls, folder: Path, now: dt.datetime) -> "Authority":
        """Make a new authority in `folder`, which must not hold one; raises `HoldfastError`."""
        if any(folder.glob("ca-*")):
            raise HoldfastError(f"{folder} already holds a certificate authority", advice="use another directory")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            _make_root(folder, 1, None, now)
        except OSError as error:
            raise _unwritable(folder, error) from error
        return cls.load(folder)

    @classmethod
    def load(cls, folder: Path) -> "Authority":
        """Read the authority in `folder`; raises `HoldfastError` that names the file that is wrong."""
        numbers = generations(folder)
        if not numbers:
            raise HoldfastError(
                f"{folder} holds no certificate authority", advice="restore it with holdfast console ca restore"
            )
        return cls(folder, [_read_root(folder, number) for number in numbers])

    def stale(self) -> bool:
        """Say whether the folder holds generations that this object has not read."""
        return generations(self._folder) != tuple(root.number for root in self._roots)

    def renew(self, now: dt.datetime) -> "Authority":
        """Add a generation, cross-signed by the current one, and return the authority with it."""
        try:
            _make_root(self._folder, self._current.number + 1, self._current, now)
        except OSError as error:
            raise _unwritable(self._folder, error) from error
        return Authority.load(self._folder)

    @property
    def pin(self) -> bytes:
        """SHA-256 of the public key of the root that signs now; what an enrolment token carries."""
        return spki_digest(self._current.certificate)

    def trusted(self) -> bytes:
        """Return the roots to trust (PEM), newest first: what agents are given and what their certificates are checked against."""
        return b"".join(root.pem for root in reversed(self._roots))

    def show(self) -> tuple[Generation, ...]:
        """Describe the generations, newest first."""
        return tuple(
            Generation(
                number=root.number,
                subject=root.certificate.subject.rfc4514_string(),
                pin=spki_digest(root.certificate).hex(),
                begins_ms=_ms(root.certificate.not_valid_before_utc),
                ends_ms=_ms(root.certificate.not_valid_after_utc),
            )
            for root in reversed(self._roots)
        )

    def issue_agent(self, csr_pem: bytes, agent: str, lifetime: dt.timedelta, now: dt.datetime) -> Issued:
        """Sign a client certificate for `agent`; raises `BadRequest` unless `inspect_request` finds that the request is for it."""
        name, key = inspect_request(csr_pem)
        if name != agent:
            raise BadRequest("the signing request names another agent", advice="make a new request")
        return self._issue(agent, key, now, now + lifetime, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def issue_server(self, names: Sequence[str], now: dt.datetime) -> tuple[bytes, bytes]:
        """Return a new key and the chain (PEM) for a listener reachable under `names` (host names and addresses).

        The chain ends with every root, so that an enrolling agent finds the one that its token pins.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        lifetime = dt.timedelta(days=SERVER_DAYS)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in dict.fromkeys(names)])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        issued = self._issue("holdfast console", key.public_key(), now, now + lifetime, usage, alternatives)
        crosses = b"".join(root.cross for root in reversed(self._roots))
        return _key_pem(key), issued.pem + crosses + self.trusted()

    @property
    def _current(self) -> _Root:
        return self._roots[-1]

    def _issue(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        now: dt.datetime,
        ends: dt.datetime,
        usage: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
    ) -> Issued:
        root = self._current
        builder = (
            _builder(_name(name), root.certificate.subject, key, now, min(ends, root.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.certificate.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        made = builder.sign(root.key, hashes.SHA256())
        return Issued(
            serial=_serial(made),
            pem=made.public_bytes(serialization.Encoding.PEM),
            key=spki_digest(made),
            issued_ms=_ms(now),
            ends_ms=_ms(made.not_valid_after_utc),
        )


def generations(folder: Path) -> tuple[int, ...]:
    """Return the numbers of the generations in `folder`, oldest first."""
    found = [_GENERATION.fullmatch(entry.name) for entry in folder.glob("ca-*.crt")]
    return tuple(sorted(int(match[1]) for match in found if match))


def inspect_request(csr_pem: bytes) -> tuple[str, ec.EllipticCurvePublicKey]:
    """Return the agent id that a signing request names and its public key.

    Raises `BadRequest` unless the request is well-formed, signed by its own key, P-256, and names nothing but one agent id. Extensions
    that it asks for are not looked at: what a certificate says is the console's decision alone.
    """
    try:
        request = x509.load_pem_x509_csr(csr_pem)
        valid = request.is_signature_valid
        key = request.public_key()
        names = [(attribute.oid, attribute.value) for attribute in request.subject]
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.DuplicateExtension) as error:
        raise BadRequest("the signing request does not parse") from error
    if not valid:
        raise BadRequest("the signing request is not signed with its own key")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadRequest("the signing request's key is not P-256")
    if len(names) != 1 or names[0][0] != NameOID.COMMON_NAME or not AGENT_ID.fullmatch(str(names[0][1])):
        raise BadRequest("the signing request's subject is not one agent id (32 hex digits)")
    return str(names[0][1]), key


def key_digest(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return SHA-256 of a public key (SubjectPublicKeyInfo)."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def spki_digest(certificate: x509.Certificate) -> bytes:
    """Return SHA-256 of a certificate's public key: what a token pins."""
    key = certificate.public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()


def certificate_ends(pem: bytes) -> dt.datetime:
    """Return when the first certificate in `pem` ends."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def certificate_names(pem: bytes) -> frozenset[str]:
    """Return the host names and addresses that the first certificate in `pem` is for."""
    certificate = x509.load_pem_x509_certificate(pem)
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = found.get_values_for_type(x509.DNSName)
    return frozenset(names) | {str(address) for address in found.get_values_for_type(x509.IPAddress)}


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically, readable by its owner alone from the first byte on."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make_root(folder: Path, number: int, before: _Root | None, now: dt.datetime) -> None:
    """Write a new generation; the certificate comes last, so a crash leaves no generation without its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(f"Holdfast console CA {number} {os.urandom(4).hex()}")
    ends = now + dt.timedelta(days=ROOT_DAYS)
    write_private(folder / f"ca-{number}.key", _key_pem(key))
    if before is not None:
        until = min(ends, before.certificate.not_valid_after_utc)
        cross = _root_builder(subject, before.certificate.subject, key.public_key(), now, until)
        signed = cross.sign(before.key, hashes.SHA256())
        write_private(folder / f"ca-{number}.cross.crt", signed.public_bytes(serialization.Encoding.PEM))
    own = _root_builder(subject, subject, key.public_key(), now, ends).sign(key, hashes.SHA256())
    write_private(folder / f"ca-{number}.crt", own.public_bytes(serialization.Encoding.PEM))


def _read_root(folder: Path, number: int) -> _Root:
    path = folder / f"ca-{number}.crt"
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        path = folder / f"ca-{number}.key"
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        path = folder / f"ca-{number}.cross.crt"
        cross = path.read_bytes() if path.exists() else b""
        if cross:
            x509.load_pem_x509_certificate(cross)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = error.strerror if isinstance(error, OSError) else "it does not parse"
        raise HoldfastError(
            f"{path} of the certificate authority cannot be read: {reason}",
            advice="restore the authority from its backup with holdfast console ca restore",
        ) from error
    public = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(public, ec.EllipticCurvePublicKey):
        raise HoldfastError(f"{folder / f'ca-{number}.key'} is not an elliptic-curve key", advice="restore the backup")
    if key_digest(key.public_key()) != key_digest(public):
        raise HoldfastError(
            f"{folder / f'ca-{number}.key'} does not belong to ca-{number}.crt",
            advice="restore both from the same backup with holdfast console ca restore",
        )
    return _Root(number, key, certificate, cross)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(ends)
    )


def _root_builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    return (
        _builder(subject, issuer, key, now, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _serial(certificate: x509.Certificate) -> str:
    """Return the serial number as `ssl.getpeercert` prints it: hexadecimal, whole bytes."""
    text = f"{certificate.serial_number:X}"
    return text if len(text) % 2 == 0 else f"0{text}"


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)


def _unwritable(folder: Path, error: OSError) -> HoldfastError:
    return HoldfastError(
        f"{folder} cannot be written: {error.strerror}",
        advice="make the state directory writable by the console's user",
    )
