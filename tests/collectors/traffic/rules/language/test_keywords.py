"""The table of keywords: every word of Suricata 8.0's own list is in it, and each is met by one family."""

import pytest

from collectors.traffic.rules.language.keyword import NEEDED, NONE, OPTIONAL, Keyword, without_effect
from collectors.traffic.rules.language.keywords import FAMILIES, KEYWORDS

OF_SURICATA = """
sid priority rev classtype app-layer-protocol tcp.ack tcp.seq tcp.window ipopts ip.src ip.dst tcp.flags fragbits
fragoffset ttl tos itype icode icmp_id icmp_seq icmpv4.hdr dsize flow threshold flowbits flowvar flowint hostbits xbits
pktvar content uricontent pcre depth startswith endswith distance within offset replace nocase fast_pattern rawbytes
byte_test byte_jump byte_math byte_extract dataset datarep base64_decode base64_data bsize asn1 lua isdataat urilen
absent entropy metadata reference tag msg sameip geoip ip_proto ftpbounce ftp.dynamic_port id rpc noalert alert
ipv4-csum tcpv4-csum tcpv6-csum udpv4-csum udpv6-csum icmpv4-csum icmpv6-csum stream_size detection_filter decode-event
gid nfq_set_mark frame flow.age flow.pkts flow.pkts_toserver flow.pkts_toclient flow.bytes flow.bytes_toserver
flow.bytes_toclient requires tls.version tls.subject tls.issuerdn tls_cert_notbefore tls_cert_notafter tls_cert_expired
tls_cert_valid tls.fingerprint tls_store tls.cert_chain_len tls.alpn nfs_procedure nfs.version ssh.protoversion
ssh.softwareversion ssl_version ssl_state file.data pkt_data app-layer-event app-layer-state http2.frametype
http2.errorcode http2.priority http2.window http2.size_update http2.settings http2.header_name dcerpc.iface dcerpc.opnum
dcerpc.stub_data smb.named_pipe smb.share smb.ntlmssp_user smb.ntlmssp_domain smb.version engine-event stream-event
config filename file.name fileext filestore filemagic file.magic filemd5 filesha1 filesha256 filesize l3_proto iprep
modbus dnp3.data dnp3_func dnp3_ind dnp3_obj krb5_err_code krb5_msg_type krb5.cname krb5.sname krb5.ticket_encryption
ipv4.hdr ipv6.hdr icmpv6.hdr icmpv6.mtu tcp.hdr udp.hdr tcp.mss tcp.wscale ftpdata_command target bypass prefilter
pcrexform luaxform ike.exchtype ike.init_spi ike.resp_spi ike.vendor ike.chosen_sa_attribute
ike.key_exchange_payload_length ike.nonce_payload_length ja4.hash ftp.command ftp.command_data ftp.reply ftp.mode
ftp.reply_received ftp.completion_code vlan.id vlan.layers xor from_base64 domain tld dhcp.leasetime dhcp.rebinding_time
dhcp.renewal_time websocket.opcode websocket.mask websocket.flags cip_service enip.capabilities enip_command
enip.revision mqtt.type mqtt.reason_code mqtt.connack.session_present mqtt.qos mqtt.protocol_version mqtt.flags
mqtt.connect.flags rfb.sectype rfb.secresult ldap.request.operation ldap.responses.operation ldap.responses.count
ldap.responses.result_code dns.opcode dns.query.name dns.answer.name dns.rcode dns.rrtype snmp.version snmp.pdu_type
"""


@pytest.mark.parametrize("word", OF_SURICATA.split())
def test_every_word_of_suricata_is_known(word: str) -> None:
    assert word in KEYWORDS


def test_no_two_families_have_the_same_word() -> None:
    words = [word for family in FAMILIES for word in family.KEYWORDS]
    assert sorted(words) == sorted(set(words)) and all(isinstance(one, Keyword) for one in KEYWORDS.values())
    assert {one.argument for one in KEYWORDS.values()} == {NONE, OPTIONAL, NEEDED}
    assert KEYWORDS["tls_store"].apply is without_effect
