"""A log-mel spectrogram as a PNG: fixed colour limits, so two pictures can be compared by eye."""

import io

import librosa
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from core.config import MelConfig

_LOUDEST = 2.0  # natural log of mel magnitude; the floor comes from MelConfig
_TICKS_HZ = {
    100: "100",
    500: "500",
    1000: "1k",
    2000: "2k",
    5000: "5k",
    10_000: "10k",
    20_000: "20k",
}
_GREY = "#7d8590"  # readable on white and on black: the background is transparent
_DOTS_PER_INCH = 100
_LEFT, _RIGHT, _BOTTOM, _TOP = 34, 8, 20, 6  # px around the picture
_MEL = MelConfig()


def band_of(hz: float, bands: int) -> float:
    """Where a frequency lies among the mel bands, in bands: band b is centred at b + 0.5."""
    centres = librosa.mel_frequencies(
        n_mels=bands + 2, fmin=_MEL.lowest_hz, fmax=_MEL.highest_hz, htk=False
    )
    return float(np.interp(hz, centres, np.arange(bands + 2) - 0.5))


def spectrogram_png(log_mel: np.ndarray, width_px: int, height_px: int) -> bytes:
    """A PNG of exactly width_px x height_px; equal mels give equal bytes.

    Args:
        log_mel: (F, M) natural log of mel magnitude under the mel contract, F >= 1.
    """
    frames, bands = log_mel.shape
    seconds = frames * _MEL.hop_samples / _MEL.sample_rate
    size = (width_px / _DOTS_PER_INCH, height_px / _DOTS_PER_INCH)
    figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, facecolor="none")
    FigureCanvasAgg(figure)  # draws without a window system and without pyplot's global state
    inside = (width_px - _LEFT - _RIGHT) / width_px, (height_px - _BOTTOM - _TOP) / height_px
    axes = figure.add_axes((_LEFT / width_px, _BOTTOM / height_px, *inside))
    axes.imshow(
        log_mel.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap="magma",
        vmin=float(np.log(_MEL.floor)),
        vmax=_LOUDEST,
        extent=(0.0, seconds, 0.0, float(bands)),
    )
    axes.set_yticks([band_of(hz, bands) for hz in _TICKS_HZ], labels=list(_TICKS_HZ.values()))
    axes.set_xticks(_seconds_ticks(seconds))
    axes.xaxis.set_major_formatter("{x:g} s")
    axes.tick_params(colors=_GREY, labelsize=8, length=2, pad=2, width=0.6)
    for spine in axes.spines.values():
        spine.set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _seconds_ticks(seconds: float) -> np.ndarray:
    """Three to six ticks at round times, the last one clear of the right edge."""
    step = 0.01
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0):
        if seconds / step <= 6:
            break
    return np.round(np.arange(0.0, seconds * 0.97, step), 2)
