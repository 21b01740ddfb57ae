"""The mel analysis beside librosa's, with equal parameters and equal results."""

import librosa
import numpy as np
import torch

from benchmarks.timing import Row, real_time, seconds_in_turns
from core.config import MelConfig
from core.mel import log_mel

SECONDS = 20.0


def rows() -> list[Row]:
    """Both on noise, which has no silent frames to hurry over."""
    mel = MelConfig()
    noise = np.random.default_rng(0).standard_normal(round(SECONDS * mel.sample_rate))
    wave = (noise / 10).astype(np.float32)
    batch = torch.from_numpy(wave)[None]
    padding = (mel.fft_samples - mel.hop_samples) // 2

    def ours() -> np.ndarray:
        found: np.ndarray = log_mel(batch, mel)[0].numpy()
        return found

    def librosas() -> np.ndarray:
        spectrogram = librosa.feature.melspectrogram(
            y=np.pad(wave, padding, mode="reflect"),
            sr=mel.sample_rate,
            n_fft=mel.fft_samples,
            hop_length=mel.hop_samples,
            n_mels=mel.mel_bands,
            fmin=mel.lowest_hz,
            fmax=mel.highest_hz,
            power=1.0,
            center=False,
        )
        found: np.ndarray = np.log(np.maximum(spectrogram, mel.floor))
        return found

    np.testing.assert_allclose(ours(), librosas(), atol=1e-3)  # it is the same work
    own, other, ratio = seconds_in_turns(ours, librosas)
    beside = f"librosa {real_time(SECONDS, other)}: ours is {ratio:.2f} x as fast"
    return [Row("mel", f"{SECONDS:.0f} s of noise", real_time(SECONDS, own), beside)]
