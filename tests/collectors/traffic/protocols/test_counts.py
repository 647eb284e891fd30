from collectors.traffic.protocols.counts import ProtocolCounts


def test_counts_begin_with_nothing_and_are_each_one_s_own() -> None:
    one, other = ProtocolCounts(), ProtocolCounts()
    one.conversations["http"] += 1
    one.transactions["dns"] += 2
    assert (one.conversations.total(), one.transactions["dns"]) == (1, 2)
    assert other == ProtocolCounts() and not other.conversations and not other.bytes_seen
