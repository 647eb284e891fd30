"""Words of rows: equal rows meet, others do not, and nobody outside knows which."""

import numpy as np

from collectors.traffic.detectors.mixer import Mixer


def test_equal_rows_give_equal_words_and_others_do_not() -> None:
    mixer = Mixer()
    one = np.arange(100_000, dtype=np.uint64)
    words = mixer(one, one >> np.uint64(3), 5)
    assert len(np.unique(words)) == len(one)
    assert (words == mixer(one, one >> np.uint64(3), 5)).all()
    assert (words != mixer(one >> np.uint64(3), one, 5))[1:].all(), "the order counts"
    assert words.all(), "0 stands for nothing"


def test_another_secret_gives_other_words() -> None:
    one = np.arange(10, dtype=np.uint64)
    assert (Mixer(bytes(16))(one) == Mixer(bytes(16))(one)).all()
    assert (Mixer()(one) != Mixer()(one)).any()
