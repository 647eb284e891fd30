"""Every buffer that a rule can test: its name, its old names, which protocols have it, and on which side."""

from typing import NamedTuple

TO_SERVER, TO_CLIENT, BOTH = "to_server", "to_client", "both"


class Buffer(NamedTuple):
    """One buffer. `protocol` is "" when any flow or packet may have it; `several`: it can have many values in one transaction."""

    name: str
    protocol: str
    direction: str
    several: bool = False


def _table() -> dict[str, Buffer]:
    table: dict[str, Buffer] = {}
    for protocol, direction, several, names in _LISTS:
        for name in names.split():
            table[name] = Buffer(name, protocol, direction, several)
    return table


_LISTS = (
    # protocol, direction, several values, names
    ("", BOTH, False, "payload"),
    ("", BOTH, False, "ipv4.hdr ipv6.hdr tcp.hdr udp.hdr icmpv4.hdr icmpv6.hdr ether.hdr arp.hdr"),
    ("", BOTH, False, "ip.src ip.dst"),
    ("", BOTH, True, "file.data file.name file.magic file.md5 file.sha1 file.sha256"),
    ("http", TO_SERVER, False, "http.uri http.uri.raw http.method http.request_line http.request_body http.user_agent"),
    ("http", TO_SERVER, False, "http.host http.host.raw http.referer http.accept http.accept_lang http.accept_enc"),
    ("http", TO_SERVER, True, "http.request_header"),
    ("http", TO_CLIENT, True, "http.response_header"),
    ("http", TO_CLIENT, False, "http.stat_code http.stat_msg http.response_line http.server http.location"),
    ("http", BOTH, False, "http.header http.header.raw http.cookie http.protocol http.start http.header_names"),
    ("http", BOTH, False, "http.connection http.content_len http.content_type"),
    ("http2", BOTH, True, "http2.header_name"),
    ("dns", TO_SERVER, True, "dns.query"),
    ("dns", BOTH, True, "dns.queries.rrname"),
    ("dns", BOTH, True, "dns.answers.rrname dns.authorities.rrname dns.additionals.rrname"),
    ("dns", TO_CLIENT, True, "dns.response.rrname"),
    ("mdns", BOTH, True, "mdns.queries.rrname mdns.answers.rrname mdns.authorities.rrname mdns.additionals.rrname"),
    ("mdns", BOTH, True, "mdns.response.rrname"),
    (
        "llmnr",
        BOTH,
        True,
        "llmnr.queries.rrname llmnr.answers.rrname llmnr.authorities.rrname llmnr.additionals.rrname",
    ),
    ("llmnr", BOTH, True, "llmnr.response.rrname"),
    ("tls", TO_SERVER, False, "tls.sni ja3.hash ja3.string"),
    ("tls", TO_CLIENT, False, "ja3s.hash ja3s.string"),
    ("tls", TO_SERVER, False, "ja4.hash"),
    ("tls", BOTH, False, "tls.cert_subject tls.cert_issuer tls.cert_serial tls.cert_fingerprint"),
    ("tls", BOTH, True, "tls.certs tls.subjectaltname tls.alpn"),
    ("tls", BOTH, False, "tls.random tls.random_time tls.random_bytes"),
    ("ssh", BOTH, False, "ssh.proto ssh.software"),
    ("ssh", TO_SERVER, False, "ssh.hassh ssh.hassh.string"),
    ("ssh", TO_CLIENT, False, "ssh.hassh.server ssh.hassh.server.string"),
    ("smtp", TO_SERVER, False, "smtp.helo smtp.mail_from email.from email.subject email.to email.cc email.date"),
    ("smtp", TO_SERVER, False, "email.message_id email.x_mailer email.body_md5"),
    ("smtp", TO_SERVER, True, "smtp.rcpt_to email.url email.received"),
    ("ftp", TO_SERVER, False, "ftp.command ftp.command_data"),
    ("ftp", TO_CLIENT, True, "ftp.reply ftp.completion_code"),
    ("smb", BOTH, False, "smb.named_pipe smb.share"),
    ("smb", TO_SERVER, False, "smb.ntlmssp_user smb.ntlmssp_domain"),
    ("dcerpc", BOTH, False, "dcerpc.stub_data"),
    ("krb5", BOTH, True, "krb5.cname krb5.sname"),
    ("snmp", BOTH, False, "snmp.community snmp.usm snmp.trap_oid"),
    ("snmp", BOTH, True, "snmp.oid"),
    ("sip", TO_SERVER, False, "sip.method sip.uri sip.request_line"),
    ("sip", TO_CLIENT, False, "sip.stat_code sip.stat_msg sip.response_line"),
    ("sip", BOTH, False, "sip.protocol"),
    ("sip", BOTH, True, "sip.from sip.to sip.via sip.user_agent sip.content_type sip.content_length"),
    ("sip", BOTH, True, "sdp.session_name sdp.session_info sdp.origin sdp.uri sdp.email sdp.phone_number"),
    ("sip", BOTH, True, "sdp.connection_data sdp.encryption_key"),
    ("sip", BOTH, True, "sdp.bandwidth sdp.time sdp.repeat_time sdp.timezone sdp.attribute sdp.media.media"),
    ("sip", BOTH, True, "sdp.media.media_info sdp.media.connection_data sdp.media.encryption_key"),
    ("rfb", TO_CLIENT, False, "rfb.name"),
    ("mqtt", TO_SERVER, False, "mqtt.connect.clientid mqtt.connect.username mqtt.connect.password"),
    ("mqtt", TO_SERVER, False, "mqtt.connect.willtopic mqtt.connect.willmessage mqtt.connect.protocol_string"),
    ("mqtt", BOTH, False, "mqtt.publish.topic mqtt.publish.message"),
    ("mqtt", TO_SERVER, True, "mqtt.subscribe.topic mqtt.unsubscribe.topic"),
    ("quic", BOTH, False, "quic.version"),
    ("quic", TO_SERVER, False, "quic.sni quic.ua"),
    ("quic", TO_SERVER, True, "quic.cyu.hash quic.cyu.string"),
    ("ike", TO_SERVER, False, "ike.init_spi"),
    ("ike", TO_CLIENT, False, "ike.resp_spi"),
    ("ike", TO_SERVER, True, "ike.vendor"),
    ("ike", BOTH, False, "ike.nonce_payload ike.key_exchange_payload"),
    ("dnp3", BOTH, False, "dnp3.data"),
    ("enip", TO_CLIENT, False, "enip.product_name enip.service_name"),
    ("enip", BOTH, True, "cip.attribute.name"),
    ("websocket", BOTH, False, "websocket.payload"),
    ("ldap", TO_SERVER, False, "ldap.request.dn"),
    ("ldap", TO_CLIENT, True, "ldap.responses.dn ldap.responses.message"),
    ("ldap", TO_SERVER, True, "ldap.request.attribute_type"),
    ("ldap", TO_CLIENT, True, "ldap.responses.attribute_type"),
    ("ntp", BOTH, False, "ntp.reference_id"),
    ("pgsql", TO_SERVER, False, "pgsql.query"),
)

BUFFERS = _table()

NO_KEYWORDS = frozenset(["payload", "file.md5", "file.sha1", "file.sha256"])
"""Buffers that a rule cannot name: what no buffer is named for, and the digests that `filemd5` and its like look up."""

STICKY_ALIASES: dict[str, str] = {
    "file_data": "file.data",
    "pkt_data": "payload",
    "dns_query": "dns.query",
    "tls_sni": "tls.sni",
    "tls_cert_subject": "tls.cert_subject",
    "tls_cert_issuer": "tls.cert_issuer",
    "tls_cert_serial": "tls.cert_serial",
    "tls_cert_fingerprint": "tls.cert_fingerprint",
    "ja3_hash": "ja3.hash",
    "ja3_string": "ja3.string",
    "http_request_line": "http.request_line",
    "http_response_line": "http.response_line",
    "http_header_names": "http.header_names",
    "http_accept": "http.accept",
    "http_accept_enc": "http.accept_enc",
    "http_accept_lang": "http.accept_lang",
    "http_connection": "http.connection",
    "http_content_len": "http.content_len",
    "http_content_type": "http.content_type",
    "http_protocol": "http.protocol",
    "http_referer": "http.referer",
    "http_start": "http.start",
    "http_request_header": "http.request_header",
    "http_response_header": "http.response_header",
    "ssh_proto": "ssh.proto",
    "ssh_software": "ssh.software",
    "ssh.proto_version": "ssh.proto",
    "dce_stub_data": "dcerpc.stub_data",
    "smb_named_pipe": "smb.named_pipe",
    "smb_share": "smb.share",
    "mqtt_connect_clientid": "mqtt.connect.clientid",
    "krb5_cname": "krb5.cname",
    "krb5_sname": "krb5.sname",
    "dnp3_data": "dnp3.data",
    "dns.query.name": "dns.queries.rrname",
    "dns.answer.name": "dns.answers.rrname",
    "ftp.command-data": "ftp.command_data",
}
"""Other names of sticky buffers."""

MODIFIERS: dict[str, str] = {
    "http_uri": "http.uri",
    "http_raw_uri": "http.uri.raw",
    "http_method": "http.method",
    "http_client_body": "http.request_body",
    "http_server_body": "file.data",
    "http_header": "http.header",
    "http_raw_header": "http.header.raw",
    "http_cookie": "http.cookie",
    "http_user_agent": "http.user_agent",
    "http_host": "http.host",
    "http_raw_host": "http.host.raw",
    "http_stat_code": "http.stat_code",
    "http_stat_msg": "http.stat_msg",
}
"""Keywords behind a content that say which buffer that content is for."""
