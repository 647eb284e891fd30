"""What the settings say reaches the parts they are for."""

import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.errors import HoldfastError


def _with_token(settings: Any, reference: str) -> Any:
    people = msgspec.structs.replace(settings.people, metrics_token=reference)
    return msgspec.structs.replace(settings, people=people)


def _metrics(console: Any, authorization: str) -> int:
    context = ssl.create_default_context(cadata=console.parts.authority.trusted().decode())
    request = urllib.request.Request(f"https://{console.serving.people}/metrics")
    if authorization:
        request.add_header("authorization", authorization)
    try:
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            assert b"holdfast_console_agents" in answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_metrics_are_for_this_machine_until_a_token_is_configured(
    run_console: Any, console_settings: Any, tmp_path: Path
) -> None:
    console = run_console(console_settings)
    assert _metrics(console, "") == 200
    console.stop()
    secret = tmp_path / "metrics-token"
    secret.write_text("sesame\n")
    console = run_console(_with_token(console_settings, f"file:{secret}"))
    assert _metrics(console, "") == 403
    assert _metrics(console, "Bearer wrong") == 403
    assert _metrics(console, "Bearer sesame") == 200


def test_a_metrics_token_that_cannot_be_read_is_one_sentence(
    run_console: Any, console_settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(HoldfastError, match="cannot be read") as caught:
        run_console(_with_token(console_settings, f"file:{tmp_path / 'nothing'}"))
    assert caught.value.exit_code == 78
