"""The rows of antivirus travel."""

import msgspec

from contracts.subjects.antivirus import Database, Product


def test_a_product_travels_small_and_whole():
    product = Product(name="clamav", provider="clamav", databases=(Database(name="daily", form="cvd"),))
    raw = msgspec.msgpack.encode(product)
    assert msgspec.msgpack.decode(raw, type=Product) == product and len(raw) < 100


def test_what_the_makers_publish_is_known_by_name_and_form():
    assert Database(name="daily", form="cld").official
    assert not Database(name="daily", form="ndb").official and not Database(name="local", form="cvd").official
