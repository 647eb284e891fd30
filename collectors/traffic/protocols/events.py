"""The app-layer events that rules may name (`app-layer-event:http.…`), and those of a flow as a whole, as in Suricata 8."""

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


APPLAYER: Final = frozenset(
    {
        "applayer_mismatch_protocol_both_directions",
        "applayer_wrong_direction_first_data",
        "applayer_detect_protocol_only_one_direction",
        "applayer_proto_detection_skipped",
        "applayer_no_tls_after_starttls",
        "applayer_unexpected_protocol",
    }
)
"""Of a conversation as a whole."""

EVENTS: Final[dict[str, frozenset[str]]] = {
    "http": _words(
        """unknown_error gzip_decompression_failed request_field_missing_colon response_field_missing_colon invalid_request_chunk_len
        invalid_response_chunk_len invalid_transfer_encoding_value_in_request invalid_transfer_encoding_value_in_response
        invalid_content_length_field_in_request invalid_content_length_field_in_response duplicate_content_length_field_in_request
        duplicate_content_length_field_in_response 100_continue_already_seen unable_to_match_response_to_request
        invalid_server_port_in_request invalid_authority_port request_header_invalid response_header_invalid missing_host_header
        host_header_ambiguous invalid_request_field_folding invalid_response_field_folding request_field_too_long response_field_too_long
        request_line_invalid request_body_unexpected request_server_port_tcp_port_mismatch request_uri_host_invalid
        request_header_host_invalid request_auth_unrecognized request_header_repetition response_header_repetition
        response_multipart_byteranges response_abnormal_transfer_encoding response_chunked_old_proto response_invalid_protocol
        response_invalid_status request_line_incomplete double_encoded_uri uri_delim_non_compliant method_delim_non_compliant
        request_line_leading_whitespace too_many_encoding_layers request_too_many_lzma_layers response_too_many_lzma_layers
        abnormal_ce_header multipart_generic_error multipart_no_filedata multipart_invalid_header lzma_memlimit_reached compression_bomb
        too_many_warnings range_invalid file_name_too_long failed_protocol_change request_chunk_extension response_chunk_extension
        request_line_missing_protocol request_too_many_headers response_too_many_headers"""
    ),
    "http2": _words(
        """invalid_client_magic invalid_frame_data invalid_header invalid_frame_length long_frame_data stream_id_reuse
        invalid_http1_settings failed_decompression header_integer_overflow too_many_streams authority_host_mismatch userinfo_in_uri
        reassembly_limit_reached dns_request_too_long dns_response_too_long data_stream_zero"""
    ),
    "dns": _words(
        "malformed_data not_request not_response z_flag_set invalid_opcode name_too_long infinite_loop too_many_labels"
    ),
    "tls": _words(
        """invalid_sslv2_header invalid_tls_header invalid_record_version invalid_record_type invalid_record_length
        invalid_handshake_message handshake_invalid_length invalid_certificate certificate_invalid_length certificate_invalid_version
        certificate_invalid_serial certificate_invalid_algorithmidentifier certificate_invalid_x509name certificate_invalid_date
        certificate_invalid_extensions certificate_invalid_der certificate_invalid_subject certificate_invalid_issuer
        certificate_invalid_validity certificate_missing_element certificate_unknown_element certificate_invalid_string
        error_message_encountered invalid_ssl_record heartbeat_message invalid_heartbeat_message overflow_heartbeat_message
        dataleak_heartbeat_mismatch multiple_sni_extensions invalid_sni_type invalid_sni_length too_many_records_in_packet
        invalid_alert_message"""
    ),
    "ssh": _words("invalid_banner long_banner invalid_record"),
    "smtp": _words(
        """invalid_reply unable_to_match_reply_with_request max_command_line_len_exceeded max_reply_line_len_exceeded
        invalid_pipelined_sequence bdat_chunk_len_exceeded no_server_welcome_message tls_rejected data_command_rejected
        unparsable_content failed_protocol_change truncated_line duplicate_fields mime_parse_failed mime_malformed_msg mime_invalid_base64
        mime_invalid_qp mime_long_line mime_long_enc_line mime_long_header_name mime_long_header_value mime_long_boundary
        mime_long_filename"""
    ),
    "ftp": _words("request_command_too_long response_command_too_long too_many_transactions"),
}  # fmt: skip
"""By protocol, the events that its parser may set."""
