"""Brings a wave's mel to the one that it was made from, by gains alone.

What a network plays does not quite have the mel that it was given: it misses levels, and
where the phases of neighbouring frames disagree, adding them up takes energy away. A round
hears the wave, holds its mel against the wanted one, band by band and frame by frame, and
plays the same spectrum with the difference as its gain. Phases stay as they are.
"""

from torch import Tensor

from core.config import MelConfig
from core.mel import filterbank, magnitude
from core.spectral import power, spectrum, wave_from_spectrum
from core.vocoder import Vocoder

ROUNDS = 8  # what one gains its neighbours partly undo
REACH_FRAMES = 4 * ROUNDS  # on each side: a round hears and plays windows of four frames


def mel_matched(wave: Tensor, log_mel: Tensor, mel: MelConfig, most_nats: float) -> Tensor:
    """The wave with gains that bring its mel nearer to the given one.

    Args:
        wave: (F * hop,) float.
        log_mel: (F, M) that it should have.
        most_nats: a round's largest gain, up or down; of all rounds, as often as there are.
    Returns:
        (F * hop,); a wave of one frame, too short to have a mel, as it is.
    """
    if len(log_mel) < 2:
        return wave
    filters = filterbank(mel)  # (M, bins)
    share = filters / filters.sum(0).clamp_min(1e-12)  # of a bin that no band hears: 0
    for _ in range(ROUNDS):
        frames = spectrum(wave[None], mel.fft_samples, mel.hop_samples)[0]
        heard = (magnitude(power(frames)) @ filters.T).clamp_min(mel.floor).log()
        gain = (log_mel - heard).clamp(-most_nats, most_nats) @ share
        wave = wave_from_spectrum((frames * gain.exp())[None], mel.fft_samples, mel.hop_samples)[0]
    return wave


class MelMatched(Vocoder):
    """Another vocoder, its waves matched to the mels it is given.

    Args:
        inner: what plays.
        most_nats: see mel_matched.
    """

    def __init__(self, inner: Vocoder, mel: MelConfig, most_nats: float):
        self.inner, self.mel, self.most_nats = inner, mel, most_nats
        self.name, self.seam = inner.name, inner.seam
        self.reach_frames = inner.reach_frames + REACH_FRAMES

    def wave(
        self, log_mel: Tensor, first_frame: int = 0, seed: int = 0, before: Tensor | None = None, /
    ) -> Tensor:
        played = self.inner.wave(log_mel, first_frame, seed, before)
        return mel_matched(played, log_mel.cpu(), self.mel, self.most_nats)
