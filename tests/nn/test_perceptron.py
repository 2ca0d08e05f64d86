"""A learned term starts as nothing, is called with quantities and keeps their dtype."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import twinml as tw
from twinml.nn.perceptron import ACTIVATIONS


def test_a_new_term_is_zero_so_that_the_model_begins_as_the_physics():
    x = torch.linspace(-2, 2, 5, dtype=torch.float64)
    assert torch.equal(tw.nn.mlp(1)(x), torch.zeros_like(x))
    assert not torch.equal(tw.nn.mlp(1, zero=False)(x), torch.zeros_like(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_dtype_of_the_arguments_is_kept(activation, dtype):
    net = tw.nn.mlp(2, 3, hidden=(4,), activation=activation, zero=False)
    found = net(torch.ones(6, dtype=dtype), torch.zeros(6, dtype=dtype))
    assert len(found) == 3
    assert all(value.shape == (6,) and value.dtype == dtype for value in found)


def test_the_seed_fixes_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(11)
    want = torch.rand(3)
    torch.manual_seed(11)
    nets = [tw.nn.mlp(2, zero=False, seed=s) for s in (1, 1, 2)]
    assert torch.equal(torch.rand(3), want)
    first = [net.layers[0].weight for net in nets]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


def test_wrong_use_is_named():
    with pytest.raises(tw.TwinmlError, match="called with 1 tensors; expected 2, one per input"):
        tw.nn.mlp(2)(torch.zeros(3))
    with pytest.raises(tw.TwinmlError, match=r"activation='tnah'.*Did you mean 'tanh'\?"):
        tw.nn.mlp(1, activation="tnah")
    with pytest.raises(tw.TwinmlError, match="expected widths from 1 up"):
        tw.nn.mlp(1, hidden=(0,))


def test_a_net_can_be_copied_and_sent_to_another_process():
    net = tw.nn.mlp(1, zero=False)
    x = torch.ones(2)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x), net(x))
