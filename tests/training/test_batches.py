"""Orders of batches that a resumed run continues."""

import numpy as np

from speechkit.base.random_draws import rng
from speechkit.training.batches import ResumableBatches


def test_every_epoch_is_a_permutation():
    batches = list(ResumableBatches(10, 3, epochs=2, seed=1))
    assert len(batches) == len(ResumableBatches(10, 3, 2, 1)) == 6
    for epoch in range(2):
        mine = [s for batch in batches for s in batch if s[0] == epoch]
        assert len({index for _, _, index in mine}) == 9  # one sample of ten is left out
        assert [b for _, b, _ in mine] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [i for *_, i in batches[0]] != [i for *_, i in batches[3]]


def test_a_resumed_run_sees_the_rest():
    whole = list(ResumableBatches(10, 3, 4, seed=5))
    for start in range(12):
        assert list(ResumableBatches(10, 3, 4, 5, start)) == whole[start:]


def test_a_small_set_is_one_batch():
    batches = ResumableBatches(5, 32, 2, seed=0)
    assert [len(batch) for batch in batches] == [5, 5]


def test_draws_depend_on_their_purpose_alone():
    assert rng(1, 2, 3).random() == rng(1, 2, 3).random()
    draws = {rng(seed, epoch, 7).random() for seed in range(5) for epoch in range(5)}
    assert len(draws) == 25
    assert abs(np.mean([rng(0, i).random() for i in range(2000)]) - 0.5) < 0.02
