"""The RVQ-VAE at its linear start, where numpy can say what must come out, and its codes."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from vector_quantize_pytorch import ResidualVQ

from core.config import MelConfig, RvqvaeConfig
from core.rvqvae import ContinuousVae, FrameNet, LinearStart, RvqVae, net_shape

MEL = MelConfig(mel_bands=8)
CONFIG = RvqvaeConfig(latent_dim=6, hidden=16, blocks=2, dropout=0.0, vae_dim=3)
FLOOR = math.log(1e-5)


def linear_start(levels: int = 3, codes: int = 16) -> LinearStart:
    draw = torch.Generator().manual_seed(0)
    components = torch.linalg.qr(torch.randn(16, 16, generator=draw)).Q[:, :6].contiguous()
    books = (
        torch.randn(levels, codes, 6, generator=draw) / torch.arange(1, levels + 1)[:, None, None]
    )
    return LinearStart(torch.randn(8, generator=draw) - 5, torch.tensor(1.7), components, books)


def stirred(module: nn.Module) -> nn.Module:
    """Every parameter away from where it starts."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return module.eval()


def mels(frames: int = 10, batch: int = 2) -> Tensor:
    return torch.randn(batch, frames, 8) - 5


def numpy_stacked(mel: Tensor, start: LinearStart) -> np.ndarray:
    centred = (mel.numpy() - start.mean.numpy()) / float(start.scale)
    return np.stack([centred[:, 0::2], centred[:, 1::2]], axis=2).reshape(len(mel), -1, 16)


def test_latents_start_as_the_projection_on_the_components() -> None:
    start, mel = linear_start(), mels()
    expected = numpy_stacked(mel, start) @ start.components.numpy()
    np.testing.assert_allclose(
        RvqVae(start, MEL, CONFIG).latents(mel).detach(), expected, atol=1e-5
    )


@torch.no_grad()
def test_decoder_starts_as_the_transposed_components() -> None:
    start, vectors = linear_start(), torch.randn(2, 5, 6)
    frames = (vectors.numpy() @ start.components.numpy().T).reshape(2, 10, 8)
    expected = np.maximum(frames * 1.7 + start.mean.numpy(), FLOOR)
    np.testing.assert_allclose(RvqVae(start, MEL, CONFIG).decode(vectors), expected, atol=1e-5)


@torch.no_grad()
def test_continuous_vae_starts_as_the_strongest_components() -> None:
    start, mel = linear_start(), mels()
    strongest = start.components.numpy()[:, :3]
    frames = (numpy_stacked(mel, start) @ strongest @ strongest.T).reshape(2, 10, 8)
    expected = np.maximum(frames * 1.7 + start.mean.numpy(), FLOOR)
    np.testing.assert_allclose(
        ContinuousVae(start, MEL, CONFIG).reconstruct(mel), expected, atol=1e-5
    )


def test_codes_and_vectors_are_those_of_the_librarys_residual_vq() -> None:
    start, latents = linear_start(), torch.randn(2, 50, 6)
    library = ResidualVQ(dim=6, num_quantizers=3, codebook_size=16).eval()
    for layer, book in zip(library.layers, start.codebooks, strict=True):
        layer._codebook.embed.data.copy_(book[None])
    quantized, indices, _ = library(latents)
    model = RvqVae(start, MEL, CONFIG)
    assert torch.equal(model.codes(latents), indices)
    torch.testing.assert_close(model.vectors(indices), quantized)


def test_vectors_of_fewer_levels_are_the_first_ones_summed() -> None:
    start = linear_start()
    codes = torch.randint(0, 16, (1, 4, 3))
    expected = start.codebooks[0][codes[..., 0]] + start.codebooks[1][codes[..., 1]]
    torch.testing.assert_close(RvqVae(start, MEL, CONFIG).vectors(codes[..., :2]), expected)


def test_weights_bring_the_whole_model_back() -> None:
    model, mel = stirred(RvqVae(linear_start(), MEL, CONFIG)), mels()
    loaded = RvqVae.from_weights(model.state_dict(), MEL, CONFIG)
    assert not loaded.training
    assert (loaded.levels, loaded.codebook_size) == (3, 16)
    assert torch.equal(loaded.encode(mel), model.encode(mel))
    assert torch.equal(loaded.reconstruct(mel), model.reconstruct(mel))


def test_odd_frame_is_stacked_with_silence_and_comes_back_alone() -> None:
    model, mel = stirred(RvqVae(linear_start(), MEL, CONFIG)), mels(frames=7)
    with_silence = torch.cat([mel, torch.full((2, 1, 8), FLOOR)], dim=1)
    assert model.encode(mel).shape == (2, 4, 3)
    assert torch.equal(model.encode(mel), model.encode(with_silence))
    assert model.reconstruct(mel).shape == mel.shape


@torch.no_grad()
def test_nothing_is_decoded_below_silence() -> None:
    model = RvqVae(linear_start(), MEL, CONFIG)
    assert float(model.decode(100 * torch.randn(1, 5, 6)).min()) == pytest.approx(FLOOR)


def test_frame_net_starts_at_exactly_zero() -> None:
    assert not FrameNet(5, 7, *net_shape(CONFIG))(torch.randn(2, 9, 5)).any()


@torch.no_grad()
def test_frame_net_reaches_one_frame_a_block_and_never_round_the_edges() -> None:
    net, x = stirred(FrameNet(5, 7, *net_shape(CONFIG))), torch.randn(1, 12, 5)  # 2 blocks
    before = net(x)
    for frame in (0, 5, 11):
        other = x.clone()
        other[0, frame] += 1
        moved = (net(other) - before)[0].abs().amax(-1) > 0
        near = [abs(n - frame) <= 2 for n in range(12)]
        assert moved.tolist() == near


@torch.no_grad()
def test_frame_net_sees_zeros_beyond_a_lone_frame() -> None:
    net, x = stirred(FrameNet(5, 7, hidden=16, blocks=1, dropout=0.0)), torch.randn(5)
    inside = net.enter(x)
    inside = inside + net.blocks[0](torch.cat([torch.zeros(16), inside, torch.zeros(16)]))
    torch.testing.assert_close(net(x[None, None])[0, 0], net.leave(inside))
