from collections import Counter

import torch
from small_line import Line

from artifacts.code_table import CodeRow, Role, read_codes
from artifacts.training_data import TrainingData
from artifacts.weights import load_weights
from core.descriptors import descriptors
from core.rvqvae import RvqVae


def rows(line: Line, role: Role) -> list[CodeRow]:
    return read_codes(line.store.path(line.codes.digest), role)


def data(line: Line) -> TrainingData:
    return TrainingData.open(line.store, line.sounds, line.mels, line.split)


def test_every_part_is_encoded_as_the_frozen_model_does(line: Line) -> None:
    weights = load_weights(line.store, line.rvqvae.parts["weights"])
    model, parts = RvqVae.from_weights(weights, line.config.mel, line.config.rvqvae), data(line)
    for role, expected in (
        ("train", parts.train),
        ("held_out", parts.held_out),
        ("whole", parts.whole),
    ):
        found = rows(line, role)  # type: ignore[arg-type]
        assert [(row.sound, row.first, row.ends) for row in found] == [
            (part.sound, part.first // 2, part.ends) for part in expected
        ]
        for row, part in zip(found, expected, strict=True):
            codes = model.encode(parts.log_mel(part)[None])[0]
            assert torch.equal(torch.from_numpy(row.codes), codes)
            assert len(codes) == -(-part.frames // 2)
            described = descriptors(parts.log_mel(part), line.config.mel)
            assert torch.equal(torch.from_numpy(row.descriptors), described)


def test_every_training_part_has_a_copy_at_each_speed_and_equaliser(line: Line) -> None:
    trained = rows(line, "train")
    copies = Counter((row.sound, row.first, row.ends) for row in rows(line, "augmented"))
    assert set(copies.values()) == {2}  # one speed, one equaliser
    assert set(copies) == {(row.sound, row.first, row.ends) for row in trained}


def test_codes_are_of_the_codebook(line: Line) -> None:
    for role in ("train", "held_out", "augmented", "whole"):
        for row in rows(line, role):
            assert row.codes.min() >= 0
            assert row.codes.max() < 8


def test_a_copy_is_described_as_it_sounds_itself(line: Line) -> None:
    own = {row.sound: row.descriptors for row in rows(line, "train")}
    for row in rows(line, "augmented"):
        assert row.descriptors.shape == (4,)
        assert not (row.descriptors == own[row.sound]).all()
