"""Phases against the plain convolution that they stand for."""

import pytest
import torch
from torch import nn

from core.polyphase import PolyphaseConv1d, from_phases, to_phases


def test_phases_lie_beside_each_other() -> None:
    x = torch.arange(12.0).reshape(1, 2, 6)
    expected = torch.tensor([[[0.0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8, 11]]])
    assert torch.equal(to_phases(x, 3), expected)
    assert torch.equal(from_phases(to_phases(x, 3), 3), x)


@pytest.mark.parametrize("phases", [1, 2, 8])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (7, 3), (11, 5)])
def test_convolution_and_its_gradients_are_the_plain_ones(
    kernel: int, dilation: int, phases: int
) -> None:
    ours = PolyphaseConv1d(3, 2, kernel, dilation, phases).double()
    plain = nn.Conv1d(3, 2, kernel, dilation=dilation, padding=dilation * (kernel // 2)).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 16, dtype=torch.float64, requires_grad=True)
    twin = x.detach().clone().requires_grad_(True)
    y, expected = from_phases(ours(to_phases(x, phases)), phases), plain(twin)
    torch.testing.assert_close(y, expected)
    weights = torch.randn_like(y)
    (y * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, twin.grad)
    for own, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad)
