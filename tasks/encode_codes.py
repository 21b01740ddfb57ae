"""Codes: every part of every sound through the frozen RVQ-VAE, with copies for the prior."""

from collections.abc import Iterator

import torch

from artifacts.code_table import CodeRow, Role, write_codes
from artifacts.refs import Ref
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.augment import at_speed, equalised, equaliser_curves
from core.config import AugmentConfig, MelConfig, RvqvaeConfig
from core.descriptors import descriptors
from core.rvqvae import RvqVae
from core.split import Part, Split
from core.training import step_generator
from tasks.progress import bar
from tasks.step import Run, step


@step("codes", version=3)
def encode_codes(
    run: Run,
    sounds: Ref,
    mels: Ref,
    rvqvae: Ref,
    mel: MelConfig,
    codec: RvqvaeConfig,
    speeds: tuple[float, ...],
    equalisers: int,
    augment: AugmentConfig,
    split: Split,
    seed: int,
) -> Ref:
    """Codes and descriptors of all parts, and of copies at other speeds and equalisers."""
    data = TrainingData.open(run.store, sounds, mels, split)
    model = RvqVae.from_weights(load_weights(run.store, rvqvae.parts["weights"]), mel, codec)
    generator = step_generator(seed, 0, "codes")

    def row(part: Part, role: Role, log_mel: torch.Tensor) -> CodeRow:
        return CodeRow(
            part.sound,
            role,
            part.first // codec.stack_frames,
            part.ends,
            model.encode(log_mel[None])[0].numpy(),
            descriptors(log_mel, mel).numpy(),
            data.sounds.sounds[part.sound].digest,
        )

    def copies(log_mel: torch.Tensor) -> Iterator[torch.Tensor]:
        """One at each speed, equalised too, then `equalisers` at the sound's own speed."""
        for speed in (*speeds, *[1.0] * equalisers):
            curve = equaliser_curves(1, mel.mel_bands, augment, generator)[0]
            yield equalised(torch.from_numpy(at_speed(log_mel.numpy(), speed)), curve, mel)

    rows: list[CodeRow] = []
    with bar("codes", len(data.train)) as progress:
        for done, part in enumerate(data.train, 1):
            log_mel = data.log_mel(part)
            rows.append(row(part, "train", log_mel))
            rows += [row(part, "augmented", copy) for copy in copies(log_mel)]
            progress.update(done, "sounds")
    rows += [row(part, "held_out", data.log_mel(part)) for part in data.held_out]
    if data.split.kind == "tails":
        rows += [row(part, "whole", data.log_mel(part)) for part in data.whole]
    with run.store.new_file() as path:
        write_codes(path, rows)
        return Ref("codes", run.store.put_file(path))
