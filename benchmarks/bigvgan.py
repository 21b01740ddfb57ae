"""BigVGAN-v2 in its full size, with random weights, beside the official implementation.

The official one (PyPI: bigvgan, installed with --no-deps) is run where it is there, on the
same weights and mel, in turns with ours. `python -m benchmarks.bigvgan` also measures how
much memory a minute of sound takes beside five seconds; that takes some minutes.
"""

import contextlib
import importlib
import importlib.util
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.timing import Row, real_time, seconds_in_turns
from benchmarks.vocoders import demo_mel, playing
from core.bigvgan import BigvganGenerator, generator_from_checkpoint
from core.bigvgan_config import BigvganConfig
from core.bigvgan_player import Bigvgan
from core.config import BuildConfig, MelConfig
from core.mel import silence

FRAMES = 96
TIMES = 3
OFFICIAL = "bigvgan"
MEL, CPU = MelConfig(), torch.device("cpu")


@dataclass(frozen=True)
class Contest:
    """The same weights in each, and the mel that they play."""

    exact: Bigvgan
    fast: Bigvgan
    official: Callable[[Tensor], Tensor] | None
    mel: Tensor  # (F, M)


def random_weights() -> dict[str, Tensor]:
    """An official state dict, as the official generator starts, with snakes that differ."""
    torch.manual_seed(0)
    weights = BigvganGenerator(BigvganConfig()).state_dict()
    for name, value in weights.items():
        if name.endswith(("alpha", "beta")):
            value.normal_(0, 0.3)
    return weights


def official_player(weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor] | None:
    """(F, M) log mel -> (T,) wave by the official generator, or None where it is not installed."""
    if importlib.util.find_spec(OFFICIAL) is None:
        return None
    config = BigvganConfig()
    settings = importlib.import_module("bigvgan.env").AttrDict(
        resblock="1",
        activation="snakebeta",
        snake_logscale=True,
        num_mels=config.mel_bands,
        upsample_rates=list(config.upsample_rates),
        upsample_kernel_sizes=[2 * rate for rate in config.upsample_rates],
        upsample_initial_channel=config.channels,
        resblock_kernel_sizes=list(config.resblock_kernels),
        resblock_dilation_sizes=[list(one) for one in config.resblock_dilations],
        use_bias_at_final=config.bias_at_end,
        use_tanh_at_final=config.tanh_at_end,
    )
    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        generator = importlib.import_module("bigvgan.bigvgan").BigVGAN(settings)
    generator.load_state_dict(weights)
    with contextlib.redirect_stdout(io.StringIO()):  # where it says that it does so
        generator.eval().remove_weight_norm()

    @torch.no_grad()
    def wave(log_mel: Tensor) -> Tensor:
        sound: Tensor = generator(log_mel.T[None])[0, 0]
        return sound

    return wave


def contest() -> Contest:
    """Ours twice, since a player makes its generator's weights its own."""
    weights = random_weights()
    exact, fast = (
        Bigvgan(generator_from_checkpoint(BigvganConfig(), weights), MEL, CPU, fast)
        for fast in (False, True)
    )
    mel = demo_mel(BuildConfig())[:FRAMES]
    return Contest(exact, fast, official_player(weights), mel)


def decibels_above(wave: Tensor, error: Tensor) -> float:
    """Signal-to-noise ratio."""
    return float(10 * torch.log10(wave.square().mean() / error.square().mean()))


def rows() -> list[Row]:
    """Exact and fast, each in turns with the official one or else with each other."""
    held = contest()
    seconds = len(held.mel) * MEL.hop_samples / MEL.sample_rate
    what = f"random weights, {seconds:.2f} s"
    exact_wave, fast_wave = held.exact.wave(held.mel), held.fast.wave(held.mel)
    noise = f"{decibels_above(exact_wave, fast_wave - exact_wave):.1f} dB above its error"
    if held.official is None:
        ours, fast, _ = seconds_in_turns(
            playing(held.exact, held.mel), playing(held.fast, held.mel), TIMES
        )
        missing = f"{OFFICIAL} is not installed, so nothing is beside it"
        return [
            Row("bigvgan", f"{what}, float32", real_time(seconds, ours), missing),
            Row("", "fast", real_time(seconds, fast), noise),
        ]
    official, found = held.official, []
    difference = float((official(held.mel) - exact_wave).abs().max())
    for name, player, quality in (
        ("float32", held.exact, f"{difference:.0e} from its sound"),
        ("fast", held.fast, noise),
    ):
        own, other, ratio = seconds_in_turns(
            playing(player, held.mel), lambda: official(held.mel), TIMES
        )
        beside = f"official {real_time(seconds, other)}: ours is {ratio:.2f} x as fast, {quality}"
        found.append(Row("", name, real_time(seconds, own), beside))
    return [Row("bigvgan", what, ""), *found]


def megabytes(field: str) -> float:
    """Of this process, as Linux counts them: VmRSS is what it holds, VmHWM the most it held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) / 2**10
    raise KeyError(field)


def megabytes_of_playing(seconds: float) -> float:
    """What playing so long a sound adds at most to the memory held by the weights.

    In a process of its own, after a very short sound that compiles and loads all code.
    """
    player = Bigvgan(BigvganGenerator(BigvganConfig(), weight_norm=False), MEL, CPU)
    player.wave(torch.full((1, MEL.mel_bands), silence(MEL)))
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before = megabytes("VmRSS")
    frames = round(seconds * MEL.sample_rate / MEL.hop_samples)
    player.wave(torch.full((frames, MEL.mel_bands), silence(MEL)))
    return megabytes("VmHWM") - before


def main() -> None:
    """Speed, then memory."""
    for row in rows():
        print(f"{row.what:32s}{row.measured:22s}{row.beside}", flush=True)
    if not Path("/proc/self/clear_refs").exists():
        print("how much memory it takes is measured on Linux only")
        return
    for seconds in (5.0, 60.0):
        with get_context("spawn").Pool(1) as process:
            held = process.apply(megabytes_of_playing, (seconds,))
        print(f"{seconds:.0f} s of sound take {held:.0f} MB beside the weights", flush=True)


if __name__ == "__main__":
    main()
