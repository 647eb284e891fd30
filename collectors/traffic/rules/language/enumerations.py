"""Names that rules may write for numbers of protocols."""

DNS_OPCODES = {"query": 0, "iquery": 1, "status": 2, "notify": 4, "update": 5}

DNS_RCODES = {
    name: value
    for value, names in {
        0: "noerror",
        1: "formerr",
        2: "servfail",
        3: "nxdomain",
        4: "notimp",
        5: "refused",
        6: "yxdomain",
        7: "yxrrset",
        8: "nxrrset",
        9: "notauth",
        10: "notzone",
        16: "badvers badsig",
        17: "badkey",
        18: "badtime",
        19: "badmode",
        20: "badname",
        21: "badalg",
        22: "badtrunc",
    }.items()
    for name in names.split()
}

DNS_TYPES = {
    name: value
    for value, name in enumerate(
        [
            "_",
            "a",
            "ns",
            "md",
            "mf",
            "cname",
            "soa",
            "mb",
            "mg",
            "mr",
            "null",
            "wks",
            "ptr",
            "hinfo",
            "minfo",
            "mx",
            "txt",
            "rp",
            "afsdb",
            "x25",
            "isdn",
            "rt",
            "nsap",
            "nsapptr",
            "sig",
            "key",
            "px",
            "gpos",
            "aaaa",
            "loc",
            "nxt",
            "eid",
            "nimloc",
            "srv",
            "atma",
            "naptr",
            "kx",
            "cert",
            "a6",
            "dname",
            "sink",
            "opt",
            "apl",
            "ds",
            "sshfp",
            "ipseckey",
            "rrsig",
            "nsec",
            "dnskey",
            "dhcid",
            "nsec3",
            "nsec3param",
            "tlsa",
            "smimea",
            "_",
            "hip",
            "ninfo",
            "rkey",
            "talink",
            "cds",
            "cdnskey",
            "openpgpkey",
            "csync",
            "zonemd",
            "svcb",
            "https",
        ]
    )
    if name != "_"
} | {"spf": 99, "tkey": 249, "tsig": 250, "ixfr": 251, "axfr": 252, "any": 255, "uri": 256, "caa": 257}

MQTT_TYPES = {
    name: value
    for value, name in enumerate(
        [
            "reserved",
            "connect",
            "connack",
            "publish",
            "puback",
            "pubrec",
            "pubrel",
            "pubcomp",
            "subscribe",
            "suback",
            "unsubscribe",
            "unsuback",
            "pingreq",
            "pingresp",
            "disconnect",
            "auth",
        ]
    )
}

SNMP_PDUS = {
    name: value
    for value, name in enumerate(
        [
            "get_request",
            "get_next_request",
            "response",
            "set_request",
            "trap_v1",
            "get_bulk_request",
            "inform_request",
            "trap_v2",
            "report",
        ]
    )
}

WEBSOCKET_OPCODES = {"continuation": 0, "text": 1, "binary": 2, "ping": 9, "pong": 10}

KERBEROS_MESSAGES = {"as_req": 10, "as_rep": 11, "tgs_req": 12, "tgs_rep": 13, "ap_req": 14, "ap_rep": 15, "error": 30}

LDAP_OPERATIONS = {
    "bind_request": 0,
    "bind_response": 1,
    "unbind_request": 2,
    "search_request": 3,
    "search_result_entry": 4,
    "search_result_done": 5,
    "modify_request": 6,
    "modify_response": 7,
    "add_request": 8,
    "add_response": 9,
    "del_request": 10,
    "del_response": 11,
    "mod_dn_request": 12,
    "mod_dn_response": 13,
    "compare_request": 14,
    "compare_response": 15,
    "abandon_request": 16,
    "search_result_reference": 19,
    "extended_request": 23,
    "extended_response": 24,
    "intermediate_response": 25,
}

HTTP2_FRAMES = {
    name: value
    for value, name in enumerate(
        [
            "data",
            "headers",
            "priority",
            "rststream",
            "settings",
            "pushpromise",
            "ping",
            "goaway",
            "windowupdate",
            "continuation",
        ]
    )
}

HTTP2_SETTINGS = {
    "settings_header_table_size": 1,
    "settings_enable_push": 2,
    "settings_max_concurrent_streams": 3,
    "settings_initial_window_size": 4,
    "settings_max_frame_size": 5,
    "settings_max_header_list_size": 6,
}

HTTP2_ERRORS = {
    name: value
    for value, name in enumerate(
        [
            "no_error",
            "protocol_error",
            "internal_error",
            "flow_control_error",
            "settings_timeout",
            "stream_closed",
            "frame_size_error",
            "refused_stream",
            "cancel",
            "compression_error",
            "connect_error",
            "enhance_your_calm",
            "inadequate_security",
            "http_1_1_required",
        ]
    )
}

RFB_SECURITY_TYPES = {
    "invalid": 0,
    "none": 1,
    "vnc": 2,
    "ra2": 5,
    "ra2ne": 6,
    "tight": 16,
    "ultra": 17,
    "tls": 18,
    "vencrypt": 19,
}
RFB_RESULTS = {"ok": 0, "fail": 1, "toomany": 2, "unknown": 3}
