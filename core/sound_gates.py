"""Checks of the sound itself: mels that fit, right length and pitch, no clipping, images, buzz.

They measure machinery, not taste: on a sound build each is far on the green side,
whatever the sounds are. Those of what the models learnt are in core.gates.
"""

import math
from collections.abc import Mapping

from core.config import VocoderName
from core.copies import MEL_KINDS, Copies, MelKind
from core.fidelity import MOST_BUZZ
from core.gates import Gate, GateName, at_most, worst

SOUND_GATES: set[GateName] = {"mels", "duration", "pitch", "clipping", "images", "buzz"}
Measured = Mapping[VocoderName, Mapping[MelKind, Copies]]

MEL_NATS = 0.01  # the same analysis on another processor is off by 1e-5
FLAT_SHARE = 1e-4
MIRRORED = 0.1  # images at -20 dB give 0.2, sound copies 0.02
RATE = "as a 44.1 kHz sound has that is passed off as 48 kHz"
REPORT = "If a fresh install of Distill does not mend it, report it."


def mels_gate(nats: float) -> Gate:
    """Of the mean error of the stored mels beside the sounds' own."""
    return at_most(
        nats,
        MEL_NATS,
        "The mels that the models learnt from are those of the sounds.",
        "The mels that the models learnt from are not those of the sounds. Run distill cache "
        f"verify and build again. {REPORT}",
    )


def copy_gates(found: Measured, best: VocoderName) -> dict[GateName, Gate]:
    """Of all vocoders' copies; pitch, images and buzz of those that can be relied on.

    Where Griffin-Lim plays, buzz is that of the nearest trained one, for it may be why.
    A vocoder that lost may be half trained and have no pitch yet. Griffin-Lim is not trained:
    from the true mel it tells mels that are not those of the sounds. From the model's mel the
    pitch is not asked: what codes blur in a few frames of noise may fit 4 bands off as well.
    """
    off, flat = {}, {}
    for name, rows in found.items():
        off[name] = max((rows[kind].samples_off for kind in rows), key=abs)
        flat[name] = worst((rows[kind].fidelity.flat_tops for kind in rows), max)
    longest = max(off, key=lambda name: abs(off[name]))
    flattest = max(flat, key=lambda name: (math.isnan(flat[name]), flat[name]))
    bands = max((found[name]["mel"].bands_off for name in (best, "griffinlim")), key=abs)
    heard = [found[best][kind].fidelity.mirrored for kind in MEL_KINDS]
    images = sum(heard) / len(heard)  # of one short sound alone it is up to 0.17 by chance
    trained = [name for name in found if name != "griffinlim"]
    heads = trained if best == "griffinlim" and trained else [best]  # Griffin-Lim never buzzes
    first = min(heads, key=lambda name: found[name]["model"].distance.mr_stft)
    buzz = found[first]["model"].fidelity.buzz
    return {
        "duration": at_most(
            abs(off[longest]),
            0,
            "Every copy is exactly as long as its original.",
            f"Copies by {longest} are {_much(off[longest], 'sample', 'too long', 'too short')} "
            f"at 48 kHz; a 44.1 kHz sound passed off as 48 kHz is 8 % too short. {REPORT}",
        ),
        "pitch": at_most(
            abs(bands),
            0,
            "Copies have the pitch of their originals.",
            f"Copies are {_much(bands, 'mel band', 'too high', 'too low')} (3 % of frequency "
            f"each): 1 is a mel off by a band, 2 or 3 a pitch {RATE}. Build again. {REPORT}",
        ),
        "clipping": at_most(
            flat[flattest],
            FLAT_SHARE,
            "No vocoder clips.",
            f"{flattest} clips: {flat[flattest]:.2%} of its samples are cut flat. Use another "
            "vocoder (--vocoder), or train it longer (--preset standard).",
        ),
        "images": at_most(
            images,
            MIRRORED,
            f"{best} leaves no mirror images of the sound among its highs.",
            f"{best} leaves mirror images of the sound among its highs: a metallic hiss. Use "
            "another vocoder (--vocoder), or train it longer (--preset standard).",
        ),
        "buzz": at_most(
            buzz,
            MOST_BUZZ,
            f"{first} plays hiss as hiss.",
            f"{first} plays hiss as a buzz at the rate of its frames, 86 Hz, or a part of it, so "
            f"{best} plays instead. If you trained HiFi-GAN, train it longer (hifigan.steps=).",
        ),
    }


def _much(value: int, unit: str, above: str, below: str) -> str:
    return f"{abs(value)} {unit}{'' if abs(value) == 1 else 's'} {above if value > 0 else below}"
