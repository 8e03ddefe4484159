"""Each gate and its gradient against a computation by hand."""

import math

import pytest
import torch as th
from varl_agent.sac.gates import GATE_NAMES, make_gate
from varl_agent.sac.tanh_gaussian import log_prob_per_axis
from varl_common.errors import VarlError

MEAN = th.tensor([[0.0, 2.0], [0.9, -0.1]])
STD = th.tensor([[0.5, 1.0], [0.2, 0.3]])
ADVICE = th.tensor([[0.8, 0.8], [0.7, 0.0]])


def opened(name, threshold=None, advantage=None):
    return make_gate(name, threshold)(MEAN, STD, ADVICE, lambda: advantage)


def test_log_probability_is_that_of_torchs_tanh_gaussian():
    expected = th.distributions.TransformedDistribution(
        th.distributions.Normal(MEAN, STD), [th.distributions.TanhTransform()]
    ).log_prob(ADVICE)
    assert th.allclose(log_prob_per_axis(MEAN, STD, ADVICE), expected, atol=1e-4)


def test_none_is_always_open():
    assert opened("none").tolist() == [[1, 1], [1, 1]]


def test_distance_looks_at_each_axis_alone():
    # |0.8 - tanh 0| = 0.8; |0.8 - tanh 2| = 0.16; |0.7 - tanh 0.9| = 0.02; |0 - tanh -0.1| = 0.1
    assert opened("distance", 0.5).tolist() == [[1, 0], [0, 0]]
    assert opened("distance", 0.15).tolist() == [[1, 1], [0, 0]]


def test_distance_joint_opens_all_axes_for_the_worst():
    assert opened("distance-joint", 0.5).tolist() == [[1, 1], [0, 0]]


def test_log_prob_closes_where_the_advice_is_probable():
    assert th.equal(opened("log-prob", 0.0), (log_prob_per_axis(MEAN, STD, ADVICE) < 0.0).float())
    assert opened("log-prob", -math.inf).sum() == 0
    assert opened("log-prob", math.inf).sum() == 4


def test_log_prob_joint_looks_at_the_likelihood_of_the_whole_action():
    log_prob = log_prob_per_axis(MEAN, STD, ADVICE).sum(dim=1)
    between = float(log_prob.mean()) / 2  # an axis
    assert log_prob[0] < log_prob[1]
    assert opened("log-prob-joint", between).tolist() == [[1, 1], [0, 0]]


def test_q_filter_follows_the_critic():
    assert opened("q-filter", 0.0, th.tensor([[0.1], [-0.1]])).tolist() == [[1, 1], [0, 0]]


def test_gradient_of_the_guidance_loss_passes_the_likelihood_only():
    """d/dmean of -log pi = (mean - atanh a) / std^2 where the gate is open, 0 where it is shut; no path by the gate."""
    for name in ("none", "distance", "distance-joint", "log-prob"):
        mean = MEAN.clone().requires_grad_(True)
        gate = make_gate(name)(mean, STD, ADVICE, lambda: th.zeros(2, 1))
        (-(gate * log_prob_per_axis(mean, STD, ADVICE)).sum()).backward()
        expected = gate * (MEAN - th.atanh(ADVICE)) / STD**2
        assert not gate.requires_grad
        assert th.allclose(mean.grad, expected, atol=1e-5)


def test_every_gate_takes_a_batch_of_runs():
    for name in GATE_NAMES:
        gate = make_gate(name)
        stacked = gate(MEAN.expand(3, 2, 2), STD.expand(3, 2, 2), ADVICE.expand(3, 2, 2), lambda: th.ones(3, 2, 1))
        assert th.equal(stacked[1], gate(MEAN, STD, ADVICE, lambda: th.ones(2, 1)))


def test_an_unknown_gate_names_the_nearest():
    with pytest.raises(VarlError, match="did you mean 'q-filter'"):
        make_gate("qfilter")
