"""A stored clip as a browser can play it. Chromium cannot play a FLAC of a single block."""

from base64 import b64encode
from io import BytesIO

import soundfile

BLOCK_SAMPLES = 4096  # of the FLAC encoder: 93 ms


def playable(flac: bytes) -> bytes:
    """The same samples, 16 bit, as FLAC, or as WAV where they are too few for two blocks.

    Chromium 156 seeks before it plays, and in one block there is nowhere to seek to:
    PIPELINE_ERROR_READ. WAV of any length plays.
    """
    with soundfile.SoundFile(BytesIO(flac)) as sound:
        if sound.frames > BLOCK_SAMPLES:
            return flac
        samples, rate = sound.read(dtype="int16"), sound.samplerate
    wav = BytesIO()
    soundfile.write(wav, samples, rate, format="WAV", subtype="PCM_16")
    return wav.getvalue()


def audio_uri(audio: bytes) -> str:
    """What `playable` gave as a data: URI.

    >>> audio_uri(b"RIFF"), audio_uri(b"fLaC")
    ('data:audio/wav;base64,UklGRg==', 'data:audio/flac;base64,ZkxhQw==')
    """
    kind = "wav" if audio.startswith(b"RIFF") else "flac"
    return f"data:audio/{kind};base64,{b64encode(audio).decode()}"
