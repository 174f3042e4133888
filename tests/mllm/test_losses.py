"""Losses equal what is computed by hand, and gradients go where they should."""

import math

import pytest
import torch

from lmeec.mllm.losses import ccl_loss, kl_loss, vtg_loss


def test_kl_of_two_channels_by_hand():
    # y says 3/4 and 1/4, F(x) one half each.
    real = torch.tensor([math.log(3.0), 0.0]).view(1, 1, 1, 2)
    estimate = torch.zeros(1, 1, 1, 2)
    expected = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert float(kl_loss(estimate, real)) == pytest.approx(expected, abs=1e-6)
    # The other direction would be another number.
    other = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert float(kl_loss(real, estimate)) == pytest.approx(other, abs=1e-6)
    assert abs(expected - other) > 1e-2


def test_kl_is_a_mean_over_frames_and_patches():
    real = torch.zeros(1, 2, 2, 2)
    real[0, 0, 0, 0] = math.log(3.0)
    one = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(kl_loss(torch.zeros(1, 2, 2, 2), real)) == pytest.approx(one / 4, abs=1e-6)


def test_kl_with_a_temperature_by_hand():
    # Half of log 9 is log 3, and the divergence is multiplied by 2 squared.
    real, estimate = torch.tensor([math.log(9.0), 0.0]).view(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)
    one = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert float(kl_loss(estimate, real, temperature=2.0)) == pytest.approx(4 * one, abs=1e-6)


def test_kl_of_means_does_not_see_what_is_where():
    features = torch.randn(2, 3, 4, 5)
    turned = features[:, :, [2, 0, 3, 1]]
    later = features[:, [1, 2, 0]]
    assert float(kl_loss(turned, features, pool="space")) == pytest.approx(0, abs=1e-6)
    assert float(kl_loss(later, features, pool="space")) > 1e-3
    assert float(kl_loss(later, features, pool="space_time")) == pytest.approx(0, abs=1e-6)
    assert float(kl_loss(turned, features)) > 1e-3


def test_kl_is_nothing_where_the_estimate_is_real_and_ccl_for_identities():
    features = torch.randn(2, 3, 4, 5)
    assert float(kl_loss(features, features)) == 0
    assert float(ccl_loss(features, features)) == 0


def test_ccl_is_the_mean_distance():
    assert float(ccl_loss(torch.tensor([[1.0, -2.0, 3.0]]), torch.tensor([[0.0, 0.0, 5.0]]))) == pytest.approx(5 / 3)


def test_targets_get_no_gradient():
    for loss in (kl_loss, ccl_loss):
        moved, target = (torch.randn(1, 2, 3, 4, requires_grad=True) for _ in range(2))
        loss(moved, target).backward()
        assert moved.grad.abs().sum() > 0
        assert target.grad is None


def test_vtg_by_hand():
    assert float(vtg_loss(torch.tensor([0.5, 0.25]).log())) == pytest.approx(math.log(2) + math.log(4))


def test_losses_are_in_float32_whatever_they_are_given():
    half = torch.randn(1, 2, 3, 4, dtype=torch.bfloat16)
    for value in (kl_loss(half, half), ccl_loss(half, half), vtg_loss(half)):
        assert value.dtype == torch.float32
