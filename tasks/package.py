"""Package: everything that makes the model, in one `.distill` file."""

import dataclasses
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from artifacts.model_card import card
from artifacts.package import write_package
from artifacts.refs import Ref
from artifacts.store import Store
from core.config import BuildConfig, VocoderName
from tasks.step import Run, step
from tasks.validate import record_of

LICENCES = {
    "distill": "MIT",
    "model": "as the sounds it was made from: whoever made this model decides",
}
MOST_LISTED = 20_000  # sounds: half of what a manifest may be


@step("package", version=3)
def package_model(
    run: Run,
    name: str,
    rvqvae: Ref,
    texture: Ref,
    prior: Ref,
    vocoders: dict[VocoderName, Ref],
    judgement: Ref,
    validation: Ref,
    config: BuildConfig,
    memory: Ref | None = None,
) -> Ref:
    """Write the package; discriminators and optimisers are not in it.

    Args:
        memory: of a model that goes on from another.
    """
    store = run.store
    figures = {**record_of(store, judgement), **record_of(store, validation)}
    manifest = model_manifest(
        name, record_of(store, rvqvae), record_of(store, prior), figures, config
    )
    if memory is not None:
        trained = {"rvqvae": rvqvae, "texture": texture, "prior": prior}
        trained |= {str(vocoder): ref for vocoder, ref in vocoders.items()}
        add_memory(manifest, record_of(store, memory), trained, store)
    entries = {
        "rvqvae.safetensors": store.read_bytes(rvqvae.parts["weights"]),
        "texture.safetensors": store.read_bytes(texture.parts["weights"]),
        "prior.safetensors": store.read_bytes(prior.parts["weights"]),
        "card.md": card(manifest).encode(),
    }
    for vocoder, ref in vocoders.items():
        entries[f"vocoder-{vocoder}.safetensors"] = store.read_bytes(ref.parts["weights"])
    for number, preview in enumerate(figures["previews"], 1):
        digest = validation.parts[f"{preview['name']}.flac"]
        entries[f"previews/{number}.flac"] = store.read_bytes(digest)
    with store.new_file(".distill") as path:
        write_package(path, manifest, entries)
        return Ref("package", store.put_file(path))


def model_manifest(
    name: str,
    rvqvae: dict[str, Any],
    prior: dict[str, Any],
    figures: dict[str, Any],
    config: BuildConfig,
) -> dict[str, Any]:
    """What `distill inspect` shows."""
    return {
        "name": name,
        "preset": config.preset,
        "seed": config.seed,
        "distill_version": version("distill"),
        "versions": {"torch": torch.__version__, "numpy": np.__version__},
        "mel": dataclasses.asdict(config.mel),
        "sizes": {
            **rvqvae["sizes"],
            "code_frames": rvqvae["code_frames"],
            "longest_code_frames": prior["longest_frames"],
            "median_code_frames": prior["median_frames"],
            "natural_temperature": figures["natural_temperature"],
        },
        "labels": prior["labels"],
        "health": rvqvae["health"],
        "metrics": {
            "reconstruction": {
                "log_mel_l1": rvqvae["log_mel_l1"],
                "vae_log_mel_l1": rvqvae["vae_log_mel_l1"],
            },
            "prior": {
                "nats_per_frame": prior["nats_per_frame"],
                "unigram_nats_per_frame": prior["unigram_nats_per_frame"],
                "bigram_nats_per_frame": prior["bigram_nats_per_frame"],
                "train_nats_per_frame": prior["train_nats_per_frame"],
                "per_level": prior["per_level"],
                "label_nats": prior["label_nats"],
                "overlap_8gram": figures["overlap_8gram"],
                "overlap_8gram_real": figures["overlap_8gram_real"],
            },
            "realism": figures["realism"],
            "vocoders": figures["vocoders"],
        },
        "vocoder": figures["vocoder"],
        "gates": figures["gates"],
        "train": {
            "files": figures["files"],
            "seconds_of_audio": figures["seconds_of_audio"],
            "gain": figures["gain"],
            "held_out": figures["split"],
            "held_out_sounds": figures["held_out_sounds"],
            "heard": figures["heard"] if figures["files"] <= MOST_LISTED else {},
        },
        "licences": LICENCES,
        "config": dataclasses.asdict(config),
    }


def add_memory(
    manifest: dict[str, Any], memory: dict[str, Any], trained: Mapping[str, Ref], store: Store
) -> None:
    """Add what a model that goes on from another says of that.

    Args:
        trained: the trainings by their names; their records say why one began anew.
    """
    begins = {name: record_of(store, ref)["begins_anew"] for name, ref in trained.items()}
    manifest["parent"] = {
        **memory["parent"],
        "begun_anew": {name: why for name, why in begins.items() if why},
    }
    manifest["metrics"]["memory"] = memory["figures"]
    manifest["gates"] = {**manifest["gates"], **memory["gates"]}
