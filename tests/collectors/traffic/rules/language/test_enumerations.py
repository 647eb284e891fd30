"""Names for numbers are those of the protocols' own registries."""

from collectors.traffic.rules.language import enumerations as names


def test_a_few_that_everybody_knows() -> None:
    assert (names.DNS_TYPES["a"], names.DNS_TYPES["aaaa"], names.DNS_TYPES["txt"], names.DNS_TYPES["https"]) == (
        1,
        28,
        16,
        65,
    )
    assert (names.DNS_TYPES["ds"], names.DNS_TYPES["dnskey"], names.DNS_TYPES["tlsa"], names.DNS_TYPES["svcb"]) == (
        43,
        48,
        52,
        64,
    )
    assert (names.DNS_TYPES["srv"], names.DNS_TYPES["naptr"], names.DNS_TYPES["opt"], names.DNS_TYPES["caa"]) == (
        33,
        35,
        41,
        257,
    )
    assert (names.DNS_RCODES["nxdomain"], names.DNS_RCODES["badsig"], names.DNS_OPCODES["update"]) == (3, 16, 5)
    assert (names.MQTT_TYPES["publish"], names.MQTT_TYPES["disconnect"], names.MQTT_TYPES["auth"]) == (3, 14, 15)
    assert (names.HTTP2_FRAMES["goaway"], names.HTTP2_FRAMES["continuation"], names.HTTP2_ERRORS["cancel"]) == (7, 9, 8)
    assert names.SNMP_PDUS["get_bulk_request"] == 5
