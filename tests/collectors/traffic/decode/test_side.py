"""What few rows have is kept in the order of the rows, however it came."""

import numpy as np

from collectors.traffic.decode.side import ARP, Side, merge


def test_merging_sorts_by_row() -> None:
    one, other = Side(np.array([4, 9]), np.zeros(2, ARP)), Side(np.array([1, 7]), np.ones(2, ARP))
    both = merge([Side.none(ARP), one, other])
    assert both.rows.tolist() == [1, 4, 7, 9]
    assert both.fields["operation"].tolist() == [1, 0, 1, 0]
    assert len(merge([Side.none(ARP), Side.none(ARP)])) == 0
