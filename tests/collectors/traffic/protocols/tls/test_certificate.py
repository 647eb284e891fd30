import datetime
import random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from collectors.traffic.protocols.tls.certificate import MAX_KEPT, oid, read

WHEN = datetime.datetime(2020, 2, 29, 12, 30, 45, tzinfo=datetime.UTC)


def made(days: int = 30) -> x509.Certificate:
    """A certificate of the cryptography library: the oracle."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([
        x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex, Ltd"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b"), x509.NameAttribute(NameOID.COMMON_NAME, "host.example"),
    ])  # fmt: skip
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA \u00fc")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("one.example"), x509.DNSName("two.example"), x509.RFC822Name("m@x.example")]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(0xABCDEF)
    )
    builder = builder.not_valid_before(WHEN).not_valid_after(WHEN + datetime.timedelta(days=days))
    return builder.add_extension(names, False).sign(key, hashes.SHA256())


def test_a_certificate_is_read_as_its_maker_wrote_it() -> None:
    certificate = made()
    found, problem = read(certificate.public_bytes(Encoding.DER))
    assert problem == ""
    assert found.subject == b"C=DE, O=Ex, Ltd, emailAddress=a@b, CN=host.example"
    assert found.issuer == "CN=CA \u00fc".encode()
    assert found.serial == b"00:AB:CD:EF"
    assert found.fingerprint.replace(b":", b"") == certificate.fingerprint(hashes.SHA1()).hex().encode()
    assert (found.not_before, found.not_after) == (int(WHEN.timestamp()), int(WHEN.timestamp()) + 30 * 86_400)
    assert found.names == [b"one.example", b"two.example", b"m@x.example"]


def test_years_beyond_2049_are_read() -> None:
    found, problem = read(made(40 * 365).public_bytes(Encoding.DER))
    assert problem == "" and found.not_after == int((WHEN + datetime.timedelta(days=40 * 365)).timestamp())


def test_a_broken_certificate_gives_what_could_be_read_and_says_what_is_wrong() -> None:
    der = made().public_bytes(Encoding.DER)
    found, problem = read(der[:80])
    assert problem == "certificate_invalid_length" and len(found.fingerprint) == 59
    assert read(b"")[1] == "certificate_missing_element"
    assert read(b"\x02\x01\x01")[1] == "certificate_unknown_element"


def test_no_mutation_raises() -> None:
    der = made().public_bytes(Encoding.DER)
    for seed in range(3000):
        chance = random.Random(seed)
        text = bytearray(der)
        for _ in range(chance.randrange(1, 6)):
            text[chance.randrange(len(text))] = chance.randrange(256)
        read(bytes(text[: chance.randrange(len(text))] if seed % 3 == 0 else text))


def test_object_identifiers_are_written_with_dots() -> None:
    assert oid(bytes.fromhex("2a864886f70d01")) == "1.2.840.113549.1"
    assert oid(b"\x88\x37") == "2.999"
    assert oid(b"") == ""


def test_certificates_of_usual_size_are_read_once_and_large_ones_are_not_kept() -> None:
    der = made().public_bytes(Encoding.DER)
    assert read(der)[0] is read(bytes(bytearray(der)))[0]
    large = der + bytes(MAX_KEPT)
    assert read(large)[0] is not read(large)[0]
    assert read(large)[0].subject == read(der)[0].subject
