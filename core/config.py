"""What to make, in plain numbers: one frozen dataclass per stage, one BuildConfig for the line.

Everything here is part of a model's identity: it enters the cache keys and is
recorded in the package. Where and how fast a model is made (device, store,
workers) is not here. Presets and single changes are in core.presets.
"""

from dataclasses import dataclass, field
from typing import Literal

PresetName = Literal["tiny", "quick", "standard", "high"]
VocoderName = Literal["griffinlim", "freev", "hifigan"]  # those that a model brings along
AnyVocoderName = Literal[VocoderName, "bigvgan"]  # and the one that all models share


@dataclass(frozen=True)
class MelConfig:
    """The mel contract: BigVGAN-v2's 44.1 kHz, 128 bands, hop 512."""

    mel_type: str = "slaney_logclamp"
    sample_rate: int = 44_100
    fft_samples: int = 2048  # window length too
    hop_samples: int = 512
    mel_bands: int = 128
    lowest_hz: float = 0.0
    highest_hz: float = 22_050.0
    floor: float = 1e-5  # magnitude under which a log mel is clamped


@dataclass(frozen=True)
class IngestConfig:
    sample_rate: int = 44_100
    shortest_seconds: float = 0.05
    silence_dbfs: float = -80.0  # a sound whose peak is below this is silent
    peak: float = 0.95  # the loudest sample of the whole set after the one gain


@dataclass(frozen=True)
class SplitConfig:
    held_out_fraction: float = 0.1
    few_files: int = 15  # fewer usable files than this: hold out tails instead of files
    tail_fraction: float = 0.15


@dataclass(frozen=True)
class AugmentConfig:
    """Random smooth equaliser and gain on log mels (see core.augment)."""

    equaliser_terms: int = 6  # cosine terms over the mel bands
    equaliser_nats: float = 0.5  # standard deviation of the curve
    gain_nats: float = 0.5
    chunk_frames: int = 16  # each chunk is equalised on its own


@dataclass(frozen=True)
class RvqvaeConfig:
    stack_frames: int = 2  # mel frames in one code frame: 43 code frames a second
    latent_dim: int = 64
    codebook_size: int = 0  # 0: from the number of code frames (core.sizing)
    most_levels: int = 16
    fewest_levels: int = 4
    augmented_copies: int = 3  # of the training frames, for PCA and codebooks
    kmeans_iterations: int = 20
    codebook_passes: int = 8  # EMA updates over the whole buffer after k-means
    hidden: int = 128
    blocks: int = 3
    dropout: float = 0.1
    learning_rate: float = 1e-3
    batch_windows: int = 32
    window_frames: int = 64  # code frames
    decoder_steps: int = 800
    joint_steps: int = 300  # kept only if held-out L1 falls
    vae_steps: int = 800
    vae_dim: int = 8  # the yardstick: a continuous VAE with the same nets
    vae_beta: float = 1e-3
    evaluate_every_steps: int = 100


@dataclass(frozen=True)
class PriorConfig:
    hidden: int = 256
    dropout: float = 0.3
    corruption: float = 0.06  # share of input codes replaced at random in training
    speeds: tuple[float, ...] = (0.8, 0.87, 0.91, 0.95, 1.05, 1.1, 1.15, 1.25)  # of copies
    equalisers: int = 16  # more copies, at the sound's own speed
    augmented_share: float = 0.8  # of the training draws
    late_augmented_share: float = 0.25  # of the last of them (see core.prior_training)
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    batch_frames: int = 2048
    window_frames: int = 128
    steps: int = 350
    evaluate_every_steps: int = 50
    told_share: float = 0.65  # of the training windows that are told what sound they are of


@dataclass(frozen=True)
class TextureConfig:
    """The stochastic half of decoding (see core.texture)."""

    hidden: int = 192
    blocks: int = 3
    learning_rate: float = 1e-3
    batch_windows: int = 32
    window_frames: int = 32  # code frames
    steps: int = 1500
    evaluate_every_steps: int = 250
    sampling_steps: int = 6


@dataclass(frozen=True)
class GriffinLimConfig:
    iterations: int = 32
    momentum: float = 0.99
    inversion_updates: int = 25  # multiplicative updates of the non-negative inversion


@dataclass(frozen=True)
class FreevConfig:
    train: bool = True
    channels: int = 256
    hidden: int = 768
    blocks: int = 8
    learning_rate: float = 1e-3
    batch_segments: int = 8
    segment_frames: int = 32
    stft_weight: float = 1.0  # MR-STFT beside mel L1
    inversion_updates: int = 8  # the net corrects what more would
    steps: int = 600
    evaluate_every_steps: int = 100


@dataclass(frozen=True)
class HifiganConfig:
    """HiFi-GAN V2 at 512x and its discriminators."""

    train: bool = True
    upsample_rates: tuple[int, ...] = (8, 4, 4, 2, 2)
    upsample_kernels: tuple[int, ...] = (16, 8, 8, 4, 4)
    channels: int = 128
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    mel_bands: int = 128
    discriminator_divisor: int = 8  # the reference's channels divided by this
    discriminator_scales: int = 2
    discriminator_periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    mel_weight: float = 45.0
    stft_weight: float = 15.0
    feature_weight: float = 2.0
    learning_rate: float = 5e-4
    warm_up_rate_factor: float = 2.0  # times that at the first step, falling to 1 with the warm-up
    last_rate_share: float = 0.1  # of the generator's learning rate, at the last step
    last_critic_rate_share: float = 0.02  # lower: a small set is soon learnt by heart
    patience_evaluations: int = 40  # without a better held-out mel, training stops
    batch_segments: int = 8
    segment_frames: int = 16
    warm_up_steps: int = 1000  # without discriminators
    steps: int = 4000
    evaluate_every_steps: int = 200


@dataclass(frozen=True)
class ValidateConfig:
    most_sounds: int = 12  # held-out sounds in the A/B
    most_seconds: float = 6.0  # of each
    report_sounds: int = 6  # of them, with players in the report
    generated: int = 64  # sounds drawn to be judged by
    previews: int = 4  # of them, rendered into the package


@dataclass(frozen=True)
class BuildConfig:
    preset: PresetName = "quick"
    seed: int = 0
    mel: MelConfig = field(default_factory=MelConfig)
    ingest: IngestConfig = field(default_factory=IngestConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    rvqvae: RvqvaeConfig = field(default_factory=RvqvaeConfig)
    texture: TextureConfig = field(default_factory=TextureConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    griffinlim: GriffinLimConfig = field(default_factory=GriffinLimConfig)
    freev: FreevConfig = field(default_factory=FreevConfig)
    hifigan: HifiganConfig = field(default_factory=HifiganConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
