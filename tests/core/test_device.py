"""Devices by name, whatever this machine has."""

import contextlib

import pytest
import torch

from core.device import mixed_precision, resolve_device
from core.errors import ConfigError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with neither CUDA nor MPS."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def test_auto_takes_cuda_then_mps_then_the_cpu(machine: pytest.MonkeyPatch) -> None:
    assert resolve_device("auto").type == "cpu"
    machine.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto").type == "mps"
    machine.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto").type == "cuda"


def test_named_device_is_taken(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("cuda").type == "cuda"


@pytest.mark.parametrize("name", ["cuda", "mps"])
@pytest.mark.usefixtures("machine")
def test_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"this machine has no {name} device; use --device auto"):
        resolve_device(name)


@pytest.mark.parametrize("name", ["gpu", "CPU", ""])
def test_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is unknown; use auto, cpu, cuda or mps"):
        resolve_device(name)


@pytest.mark.parametrize(("units", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_on_a_cpu_are_bfloat16_only_if_it_has_units_for_them(
    monkeypatch: pytest.MonkeyPatch, units: bool, kind: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: units)
    with mixed_precision(torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_mps_multiplies_in_full_precision() -> None:
    assert isinstance(mixed_precision(torch.device("mps")), contextlib.nullcontext)
