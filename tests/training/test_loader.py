"""Data loaders whose worker processes die."""

import os
import signal

import pytest
import torch
from test_loop import Samples, fresh, run_fit

from speechkit.base.errors import UserError


class Lost(Samples):
    """One batch dies with its process; another cannot be handed over."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def __getitem__(self, sample):
        if sample[:2] == (1, 5):
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            return lambda: None  # cannot be pickled
        return sample


@pytest.mark.parametrize("how", ["killed", "not handed over"])
def test_a_batch_that_never_comes(tmp_path, monkeypatch, how):
    """Training ends with a message instead of waiting for it."""
    monkeypatch.setattr(torch.utils.data._utils, "MP_STATUS_CHECK_INTERVAL", 0.1)
    with pytest.raises(UserError, match="A process that reads audio died"):
        run_fit(fresh(), tmp_path, dataset=Lost(how), workers=2)
