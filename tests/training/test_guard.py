"""Bad gradients are dropped; the optimizer then changes nothing."""

import math

import pytest
import torch

from speechkit.base.errors import UserError
from speechkit.training.guard import MAX_BAD_BATCHES, Guard


def step(guard, parameter, optimizer, gradient):
    parameter.grad = torch.full_like(parameter, gradient)
    guard([parameter], 1)
    optimizer.step()


@pytest.fixture
def trained():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    guard = Guard()
    for _ in range(60):
        step(guard, parameter, optimizer, 0.5)
    return guard, parameter, optimizer


@pytest.mark.parametrize("gradient", [math.nan, math.inf, 1000.0])
def test_a_bad_gradient_changes_neither_weights_nor_moments(trained, gradient):
    guard, parameter, optimizer = trained
    before = parameter.detach().clone()
    moments = {k: torch.clone(v) for k, v in optimizer.state[parameter].items()}
    step(guard, parameter, optimizer, gradient)
    assert torch.equal(parameter, before)
    for name, value in optimizer.state[parameter].items():
        assert torch.equal(value, moments[name])
    assert guard.take_skipped() == 1
    assert guard.take_skipped() == 0


def test_large_but_usual_gradients_pass(trained):
    guard, parameter, optimizer = trained
    before = parameter.detach().clone()
    step(guard, parameter, optimizer, 10.0)
    assert not torch.equal(parameter, before)
    assert guard.skipped == 0


def test_the_beginning_has_no_usual_norm():
    guard, parameter = Guard(), torch.nn.Parameter(torch.ones(3))
    for gradient in (1e-6, 1e3):
        parameter.grad = torch.full_like(parameter, gradient)
        guard([parameter], 1)
        assert parameter.grad is not None


def test_many_bad_batches_in_a_row_end_the_run_and_the_count_survives_a_restart(trained):
    guard, parameter, optimizer = trained
    for _ in range(MAX_BAD_BATCHES - 1):
        step(guard, parameter, optimizer, math.nan)
    resumed = Guard()
    resumed.load(guard.state())
    with pytest.raises(UserError, match="diverged"):
        step(resumed, parameter, optimizer, math.nan)


def test_it_clips_as_torch_does():
    parameters = [torch.nn.Parameter(torch.zeros(n)) for n in (3, 5)]
    for clip in (0.5, 100.0):
        for parameter in parameters:
            parameter.grad = torch.arange(1.0, 1 + len(parameter))
        wanted = [p.grad.clone() for p in parameters]
        norm = torch.linalg.vector_norm(torch.cat(wanted))
        Guard()(parameters, 1, clip)
        for parameter, gradient in zip(parameters, wanted, strict=True):
            scale = min(1.0, clip / (float(norm) + 1e-6))
            assert torch.allclose(parameter.grad, gradient * scale, rtol=1e-6)
