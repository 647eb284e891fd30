"""Evidence that only the secret opens."""

import pytest

from collectors.traffic.output.sealing import Sealer, WrongSecret, sealed, unseal


def test_what_is_sealed_is_opened_by_the_secret_under_its_own_name_and_whole() -> None:
    sealer = Sealer(b"secret")
    content = sealer.seal(b"packets" * 100, "a.pcap")
    assert sealed(content) and b"packets" not in content and not sealed(b"packets")
    assert unseal(content, b"secret", "a.pcap") == b"packets" * 100
    assert sealer.seal(b"packets" * 100, "a.pcap") != content, "never twice the same"
    damaged = content[:-1] + bytes([content[-1] ^ 1])
    for wrong in (
        (content, b"other", "a.pcap"),
        (content, b"secret", "b.pcap"),
        (damaged, b"secret", "a.pcap"),
        (content[:30], b"secret", "a.pcap"),
    ):
        with pytest.raises(WrongSecret):
            unseal(*wrong)
