"""The settings: every one documented, sane defaults, bad values refused."""

import msgspec
import pytest

from collectors.traffic.detectors.options import DetectorOptions, ScanOptions


def _documented(kind: type) -> list[str]:
    hints = msgspec.inspect.type_info(kind)
    assert isinstance(hints, msgspec.inspect.StructType)
    missing = []
    for field in hints.fields:
        if isinstance(field.type, msgspec.inspect.StructType):
            missing += _documented(field.type.cls)
        elif not (
            isinstance(field.type, msgspec.inspect.Metadata) and "description" in (field.type.extra_json_schema or {})
        ):
            missing.append(f"{kind.__name__}.{field.name}")
    return missing


def test_every_setting_says_what_it_is() -> None:
    assert _documented(DetectorOptions) == []


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"scans": {"ports": 0}}, DetectorOptions)


@pytest.mark.parametrize("name", ["home", "proxies"])
def test_what_is_no_network_is_refused_and_named(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"{name}: .*'10.0.0.0/33'.*write an address"):
        msgspec.convert({name: ["10.0.0.0/33"]}, DetectorOptions)
    assert msgspec.convert({name: ["10.1.2.3/8", "2001:db8::1"]}, DetectorOptions)


def test_the_long_window_asks_for_more_than_the_short_one() -> None:
    options = ScanOptions()
    assert options.slow_ports > options.ports and options.slow_window > options.window
