"""Nats of sequences, worked out another way."""

from math import log

import pytest
import torch
from code_sequences import CPU, END, TINY, generator, sequence, window

from core.code_windows import (
    CodeSequence,
    collate,
)
from core.prior import UNKNOWN, Conditions, Prior
from core.prior_scores import nats, nats_per_level, sequence_nats


def test_nats_of_equal_logits_are_log_of_the_classes_where_scored() -> None:
    targets = sequence(1, 2).targets(END)
    longer = sequence(0, 1, 2, 3).targets(END)
    batch = collate([window(targets, targets[0], 0), window(longer, longer[0], 0)], END)
    found = nats(torch.zeros(2, 5, 1, END + 1), batch.targets, batch.scored)[..., 0]
    torch.testing.assert_close(found, log(5) * batch.scored[..., 0].float())


def test_prior_without_weights_knows_nothing_but_where_the_end_cannot_be() -> None:
    prior = Prior(torch.randn(2, 4, 3), TINY)
    with torch.no_grad():
        for parameter in prior.parameters():
            parameter.zero_()
    held_out = [sequence(0, 1, 2, levels=2), sequence(3, levels=2)]  # 4 code frames, 2 ends
    found = nats_per_level(prior, held_out, CPU)
    assert found == pytest.approx([log(5), log(4) * 4 / 6], rel=1e-5)


def even_prior(codes: int, levels: int) -> Prior:
    """Every code equally likely on every level, never an end."""
    model = Prior(torch.randn(levels, codes, 3), TINY, labels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.head_bias[0, codes] = -100.0
    return model.eval()


def test_scoring_tells_a_label_if_asked_and_never_lengths_ranks_or_styles() -> None:
    model = even_prior(4, 1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    plain = CodeSequence(torch.tensor([[0], [1], [2]]))
    known = CodeSequence(plain.codes, label=1, ranks=(0.1, 0.2, 0.3, 0.4))
    previous, frame = torch.tensor([[[0], [0], [1], [2]]]), torch.arange(4)[None]
    nothing = model.told(Conditions.unknown(1, 3))
    untold, targets = torch.full((1, 4), UNKNOWN), torch.tensor([[[0], [1], [2], [END]]])
    logits = model.logits(previous, frame, untold, nothing, targets)[0, :, 0].log_softmax(-1)
    expected = -float(logits.gather(1, targets[0]).mean().detach())
    assert nats_per_level(model, [known], CPU) == pytest.approx([expected], rel=1e-5)
    assert nats_per_level(model, [plain], CPU) == pytest.approx([expected], rel=1e-5)
    told = [nats_per_level(model, [plain], CPU, [label]) for label in (0, 1, UNKNOWN)]
    assert told[0] != told[1]
    assert told[2] == nats_per_level(model, [plain], CPU)


def test_what_comes_before_a_tail_is_heard_and_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    model = even_prior(4, 2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    codes = torch.randint(0, 4, (9, 2), generator=generator())
    whole = sequence_nats(model, CodeSequence(codes), CPU)
    tail = CodeSequence(codes[5:], before=codes[:5])
    torch.testing.assert_close(sequence_nats(model, tail, CPU), whole[5:])
    monkeypatch.setattr("core.prior_scores.SCORED_FRAMES", 2)  # pieces that end before it, in it
    torch.testing.assert_close(sequence_nats(model, tail, CPU), whole[5:])
