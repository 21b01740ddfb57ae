"""A small collection to try Distill on: 24 sounds, each computed from its formula.

About 30 s of 44.1 kHz mono, or a minute with second strikes. Names are
KIND_VARIANT; drones and textures are held, all others die away. Writing the sounds to
files is the caller's.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import signal

SAMPLE_RATE = 44_100
FADE_IN_SECONDS = 0.001  # short, so that attacks stay sharp
FADE_OUT_SECONDS = 0.02
GRID = 32_768  # samples are whole multiples of 1 / GRID: a 16-bit file loses nothing

Wave = NDArray[np.float64]  # (T,)
Floats = tuple[float, ...]
CHURCH: Floats = (0.5, 1, 1.2, 1.5, 2, 2.5, 2.67, 3, 4, 5.33, 6.7)  # hum, prime, tierce, quint...
GLASS: Floats = (1, 2.32, 4.25, 6.63, 9.38)  # rim modes of a wine glass
GONG: Floats = tuple(k**1.37 for k in range(1, 24))
PAIRS: Floats = (1, 1.006, 1.5, 1.507, 2.5, 2.51)  # two voices a note, beating
BIRD = ((0, 0.09, 3200, 5200), (0.12, 0.07, 5600, 3900), (0.21, 0.07, 5600, 3900))
PEAKS = {"pluck": 0.7, "bell": 0.8, "mallet": 0.6, "drum": 0.9, "bass": 0.85, "chirp": 0.4,
         "drone": 0.5, "texture": 0.35}  # fmt: skip


def clock(seconds: float) -> Wave:
    """(T,) time of each sample in seconds."""
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def decay(t: Wave, t60: float) -> Wave:
    """10^(-3 t / t60): 60 dB lower after t60 seconds; 0 before t = 0."""
    return np.where(t >= 0, 10.0 ** (-3 * np.maximum(t, 0) / t60), 0.0)


def oscillator(hz: Wave) -> Wave:
    """sin(2 pi * sum of hz / rate), the sum running over the samples before."""
    return np.sin(2 * np.pi * (np.cumsum(hz) - hz) / SAMPLE_RATE)


def band_noise(rng: Generator, samples: int, low_hz: float, high_hz: float) -> Wave:
    """White noise through a Butterworth band-pass (12 dB per octave each side), RMS 1."""
    band = signal.butter(2, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE, output="sos")
    noise: Wave = signal.sosfilt(band, rng.standard_normal(samples))
    noise /= np.sqrt(np.mean(noise**2))
    return noise


def pluck(
    rng: Generator, seconds: float, hz: float, t60: float, damping: float, pick: float, soft: float
) -> Wave:
    """Karplus-Strong: y[n] = x[n] + g (d, 1 - 2d, d) * y[n - N], a loop one period long.

    x is one period of noise, combed by where the string is picked (a share of its length)
    and dulled by a pole at `soft`; linear interpolation in the loop tunes between samples.
    """
    period = SAMPLE_RATE / hz
    delay = int(period) - 1  # the three taps delay by the sample left out here
    gain = 10.0 ** (-3 * period / (SAMPLE_RATE * t60))
    taps = np.convolve((damping, 1 - 2 * damping, damping), (1 - period % 1, period % 1))
    loop = np.concatenate(([1.0], np.zeros(delay - 1), -gain * taps))
    burst = np.zeros(round(seconds * SAMPLE_RATE))
    burst[:delay] = rng.uniform(-1, 1, delay)
    picked = burst - np.roll(burst, round(pick * period))
    string: Wave = signal.lfilter([1.0], np.convolve(loop, (1, -soft)), picked)
    return string


def struck(
    rng: Generator,
    seconds: float,
    hz: float,
    ratios: Floats,
    t60: float,
    slope: float,
    split: float = 0.0,
    bloom: float = 0.0,
) -> Wave:
    """Sum over ratios r of r^-0.6 sin(2 pi hz r (1 +- split) t), decaying in t60 / r^slope.

    split sets each partial beating; bloom is how slowly partials rise, in seconds an octave.
    """
    t = clock(seconds)
    wave = np.zeros_like(t)
    for ratio in ratios:
        shape = ratio**-0.6 * decay(t, t60 / max(1, ratio) ** slope)
        if bloom:
            shape *= 1 - np.exp(-t / (bloom * np.log2(1 + ratio)))
        for side in (-split, split):
            phase = rng.uniform(0, 2 * np.pi)
            wave += shape * np.sin(phase + 2 * np.pi * hz * ratio * (1 + side) * t)
    return wave


def fm_bell(seconds: float, hz: float, ratio: float, index: float, t60: float) -> Wave:
    """Chowning's bell: a(t) sin(2 pi hz t + index a(t) sin(2 pi hz ratio t)), a the decay."""
    t = clock(seconds)
    shape = decay(t, t60)
    return shape * np.sin(2 * np.pi * hz * t + index * shape * np.sin(2 * np.pi * hz * ratio * t))


def drum(
    rng: Generator,
    seconds: float,
    sweep: tuple[float, float, float],
    tone_t60: float,
    band_hz: tuple[float, float],
    noise_t60: float,
    noise: float,
    claps: Floats = (0,),
) -> Wave:
    """(1 - noise) * a sine at low + (high - low) exp(-t / fall), + noise * bursts of band noise.

    sweep is (high hz, low hz, fall seconds); only the last of the bursts at claps rings.
    """
    t = clock(seconds)
    high_hz, low_hz, fall = sweep
    tone = oscillator(low_hz + (high_hz - low_hz) * np.exp(-t / fall)) * decay(t, tone_t60)
    bursts = sum((decay(t - start, 0.03) for start in claps[:-1]), decay(t - claps[-1], noise_t60))
    hiss = band_noise(rng, len(t), *band_hz) / 3  # noise peaks at about three times its RMS
    return (1 - noise) * tone + noise * bursts * hiss


def saws(
    rng: Generator,
    seconds: float,
    hz: float,
    voices: Floats,
    partials: int,
    filter_hz: tuple[float, float],
    resonance: float,
    t60: float = 0.0,
) -> Wave:
    """Sum over voices v, k <= partials of e(t) |H(k v hz)| / k sin(2 pi k v hz t).

    H = 1 / (1 - r^2 + j r / resonance), r = hz / cutoff, which follows the envelope e within
    filter_hz. e is the decay in t60, or sin^2 over the whole length where t60 is 0 (a drone).
    """
    t = clock(seconds)
    shape = decay(t, t60) if t60 else np.sin(np.pi * t / seconds) ** 2
    cutoff = filter_hz[0] * (filter_hz[1] / filter_hz[0]) ** shape
    wave = np.zeros_like(t)
    for voice in voices:
        start = rng.uniform(0, 2 * np.pi)
        for k in range(1, partials + 1):
            r = k * voice * hz / cutoff
            gain = 1 / np.sqrt((1 - r**2) ** 2 + (r / resonance) ** 2)
            wave += gain / k * np.sin(k * (start + 2 * np.pi * voice * hz * t))
    return shape * wave


def chirp(seconds: float, notes: tuple[Floats, ...], drive: float) -> Wave:
    """Sum over notes of (1 - u)^2 min(1, 20 u) tanh(drive sin(phase)), hz = first (last/first)^u.

    A note is (start, length in seconds, first hz, last hz); u goes from 0 to 1 within it.
    """
    t = clock(seconds)
    wave = np.zeros_like(t)
    for start, length, first, last in notes:
        u = np.clip((t - start) / length, 0, 1)
        tone = np.tanh(drive * oscillator(first * (last / first) ** u))
        wave += (1 - u) ** 2 * np.minimum(1, 20 * u) * tone
    return wave


def grains(
    rng: Generator, seconds: float, density: float, span_hz: Floats, ring: float, bed: Floats
) -> Wave:
    """Sum of a sin(2 pi f t) decaying in ring seconds, at random times, over a bed of noise.

    density is grains a second; f is log-uniform in span_hz; a = 0.3 / sqrt(uniform),
    at most 3: few near, many far. bed is (low hz, high hz, level).
    """
    t = clock(seconds)
    wave = bed[2] * band_noise(rng, len(t), bed[0], bed[1])
    for _ in range(round(density * seconds)):
        at = int(rng.integers(len(t)))
        hz = span_hz[0] * (span_hz[1] / span_hz[0]) ** rng.uniform()
        u = t[: min(len(t) - at, round(ring * SAMPLE_RATE))]
        level = min(3.0, 0.3 / np.sqrt(1 - rng.uniform()))
        wave[at : at + len(u)] += level * decay(u, ring) * np.sin(2 * np.pi * hz * u)
    wave *= signal.windows.tukey(len(t), 0.1)
    return wave


def wind(rng: Generator, seconds: float, middle_hz: float, gust_hz: float) -> Wave:
    """Sum over nine noise bands of 2^g exp(-(octave - g)^2 / 0.18), g(t) a wandering sine."""
    t = clock(seconds)
    start = rng.uniform(0, 2 * np.pi)
    gust = np.sin(2 * np.pi * gust_hz * t + start) + 0.4 * np.sin(5.1 * np.pi * gust_hz * t)
    wave = np.zeros_like(t)
    for octave in np.linspace(-2, 2, 9):
        hz = middle_hz * 2.0**octave
        wave += np.exp(-((octave - gust) ** 2) / 0.18) * band_noise(rng, len(t), hz / 1.1, hz * 1.1)
    wave *= np.exp2(gust) * signal.windows.tukey(len(t), 0.2)
    return wave


SOUNDS: dict[str, Callable[[Generator], Wave]] = {
    "pluck_low": lambda rng: pluck(rng, 1.8, 110, 1.8, 0.1, 0.13, 0.6),
    "pluck_high": lambda rng: pluck(rng, 1.1, 440, 1.1, 0.03, 0.23, 0.2),
    "pluck_muted": lambda rng: pluck(rng, 0.4, 164.81, 0.35, 0.25, 0.4, 0.9),
    "bell_church": lambda rng: struck(rng, 2.7, 311.13, CHURCH, 2.7, 0.5, split=0.0012),
    "bell_glass": lambda rng: struck(rng, 1.4, 1318.5, GLASS, 1.4, 0.4, split=0.002),
    "bell_gong": lambda rng: struck(rng, 3.2, 98, GONG, 3.2, 0.25, split=0.003, bloom=0.06),
    "bell_fm": lambda _: fm_bell(1.8, 587.33, 1.4, 6, 1.7),
    "mallet_wood": lambda rng: struck(rng, 0.6, 261.63, (1, 3.99, 9.2), 0.55, 0.8),
    "mallet_metal": lambda rng: struck(rng, 1.5, 523.25, (1, 4, 10.1), 1.5, 0.6, split=0.003),
    "drum_kick": lambda rng: drum(rng, 0.5, (260, 48, 0.03), 0.45, (1500, 6000), 0.02, 0.2),
    "drum_snare": lambda rng: drum(rng, 0.35, (330, 185, 0.015), 0.18, (1200, 9000), 0.3, 0.7),
    "drum_hat": lambda rng: drum(rng, 0.2, (9000, 9000, 1), 0.1, (8000, 16000), 0.17, 0.9),
    "drum_tom": lambda rng: drum(rng, 0.7, (190, 110, 0.07), 0.65, (300, 2000), 0.1, 0.3),
    "drum_clap": lambda rng: drum(rng, 0.4, (1, 1, 1), 1, (800, 2600), 0.35, 1, (0, 0.01, 0.02)),
    "bass_acid": lambda rng: saws(rng, 0.8, 65.41, (1,), 120, (120, 4000), 8, 0.8),
    "bass_sub": lambda rng: saws(rng, 0.9, 43.65, (1, 2), 4, (60, 300), 0.8, 0.9),
    "chirp_laser": lambda _: chirp(0.45, ((0, 0.42, 3200, 110),), 1.2),
    "chirp_bird": lambda _: chirp(0.6, (*BIRD, (0.33, 0.25, 2600, 6400)), 0.3),
    "drone_saws": lambda rng: saws(rng, 2.6, 73.42, (0.994, 1, 1.007, 1.5), 90, (150, 5000), 1.2),
    "drone_beating": lambda rng: saws(rng, 2.2, 220, PAIRS, 1, (900, 900), 0.7),
    "texture_wind": lambda rng: wind(rng, 2.4, 700, 0.4),
    "texture_rain": lambda rng: grains(rng, 2, 160, (1800, 9000), 0.03, (1500, 12000, 0.04)),
    "texture_crackle": lambda rng: grains(rng, 1.5, 18, (700, 4000), 0.003, (40, 400, 0.01)),
    "texture_bubbles": lambda rng: grains(rng, 1.6, 26, (350, 1400), 0.09, (200, 900, 0.02)),
}


def finished(wave: Wave, peak: float) -> NDArray[np.float32]:
    """The wave without rumble or DC, faded at both ends, its largest sample at peak."""
    rumble = signal.butter(2, 20, "highpass", fs=SAMPLE_RATE, output="sos")
    t = np.arange(len(wave)) / SAMPLE_RATE
    fade = np.minimum(1, np.minimum(t / FADE_IN_SECONDS, t[::-1] / FADE_OUT_SECONDS))
    clean: Wave = signal.sosfilt(rumble, wave) * fade
    clean -= fade * clean.sum() / fade.sum()
    clean *= peak * GRID / np.abs(clean).max()
    return (np.round(clean) / GRID).astype(np.float32)


def demo_sounds(seed: int = 0) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Each sound's name and its wave, (T,) float32 at SAMPLE_RATE; the same bytes for a seed.

    Another seed draws other strikes and grains of the same instruments.
    """
    for number, (name, wave) in enumerate(SOUNDS.items()):
        peak = PEAKS[name.partition("_")[0]]
        yield name, finished(wave(np.random.default_rng((seed, number))), peak)


def demo_takes() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The demo sounds, then another strike of those that chance has a part in.

    Of sounds struck once the held-out ones are like no other: nothing can foresee them.
    """
    first = dict(demo_sounds())
    yield from first.items()
    for name, wave in demo_sounds(seed=1):
        if not np.array_equal(wave, first[name]):
            yield f"{name}_again", wave
