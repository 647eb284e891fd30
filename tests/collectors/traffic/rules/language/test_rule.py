"""The values that rules are made of travel through msgpack, each as it is."""

import msgspec

from collectors.traffic.rules.language import beside, matches, rule, values


def test_every_kind_of_match_and_test_has_a_tag_of_its_own() -> None:
    for module in (matches, beside):
        tags = [
            one.__struct_config__.tag
            for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__module__ == module.__name__
        ]
        assert tags and None not in tags and len(tags) == len(set(tags))


def test_all_of_it_is_imported_from_one_place() -> None:
    for module in (matches, beside, values):
        for name, one in vars(module).items():
            if isinstance(one, type) and issubclass(one, msgspec.Struct) and one.__module__ == module.__name__:
                assert name in rule.__all__


def test_ranges_of_long_addresses_come_back() -> None:
    ranges = ((0, 5), (1 << 127, (1 << 128) - 1))
    assert values.Addresses(False, (), values.packed(ranges)).v6 == ranges
    kept = msgspec.msgpack.encode(values.Addresses(False, ((1, 2),), values.packed(ranges)))
    assert msgspec.msgpack.decode(kept, type=values.Addresses).v6 == ranges
