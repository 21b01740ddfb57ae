"""Training of the prior on code sequences."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from core.code_windows import CodeBatch, CodeSequence, CodeWindows
from core.prior import Prior
from core.prior_scores import nats, nats_per_level
from core.training import Trainer, step_generator, step_seed, warm_cosine

LATE = 0.7  # of the steps, after which a prior that settles hears mostly originals


def corrupted(
    codes: Tensor, share: float, codebook_size: int, generator: torch.Generator
) -> Tensor:
    """(B, F, L) codes, a share of them replaced by random ones."""
    noise = torch.randint(0, codebook_size, codes.shape, generator=generator)
    return torch.where(torch.rand(codes.shape, generator=generator) < share, noise, codes)


class PriorTrainer(Trainer):
    """Trains on the originals and, for config.augmented_share of the draws, on their copies.

    Copies are not quite what new sounds shall be, equalised ones above all. A prior that
    settles draws fewer of them for the last 30 % of its steps: of 195 sounds the density of
    new ones rose from 0.78 to 0.88 (held-out real ones have 0.91), at the same nats. With none
    at all it began to copy: 1.1 % of the runs of 8 codes, not 0.1 %. On few sounds it learns by
    heart what it settles on: of 5 drones nats rose from 19.9 to 20.1.

    Args:
        settles: whether it does so.
    """

    packaged = "prior"

    def __init__(
        self,
        prior: Prior,
        steps: int,
        originals: Sequence[CodeSequence],
        augmented: Sequence[CodeSequence],
        held_out: Sequence[CodeSequence],
        seed: int,
        device: torch.device,
        settles: bool = False,
    ):
        self.settles = settles
        self.prior, self.steps, self.seed, self.device = prior.to(device), steps, seed, device
        self.config = prior.config
        self.originals = CodeWindows(originals, self.prior)
        self.augmented = CodeWindows(augmented or originals, self.prior)
        self.held_out = list(held_out)
        self.modules: dict[str, nn.Module] = {"prior": self.prior}
        decayed = [p for p in prior.parameters() if p.ndim > 1]
        plain = [p for p in prior.parameters() if p.ndim <= 1]
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "adamw": torch.optim.AdamW(
                [
                    {"params": decayed, "weight_decay": prior.config.weight_decay},
                    {"params": plain, "weight_decay": 0.0},
                ],
                lr=prior.config.learning_rate,
                betas=(0.9, 0.98),
            )
        }

    def step(self, number: int) -> dict[str, Tensor]:
        generator = step_generator(self.seed, number, "prior")
        batch, altered = self._draw(generator, number)
        batch = batch.but_told(self.config.told_share, generator)
        heard = corrupted(
            batch.previous, self.config.corruption, self.prior.codebook_size, generator
        )
        optimizer = self.optimizers["adamw"]
        for group in optimizer.param_groups:
            group["lr"] = warm_cosine(number, self.steps, self.config.learning_rate)
        self.prior.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(step_seed(self.seed, number, "dropout"))
            batch = batch.to(self.device)
            told = self.prior.told(batch.conditions, altered)
            states, vectors, _ = self.prior.states(
                heard.to(self.device), batch.frame, batch.left, told, None
            )
            # Windows differ in length: the levels are worked out for real frames only.
            real = batch.scored[..., 0].flatten().nonzero()[:, 0]
            targets = batch.targets.flatten(0, 1)[real]
            before = self.prior.before(heard.to(self.device), batch.frame).flatten(0, 1)[real]
            logits = self.prior.frame_logits(
                states.flatten(0, 1).index_select(0, real),
                vectors.flatten(0, 1)[real],
                before,
                batch.left.flatten()[real],
                targets,
            )
        scored = batch.scored.flatten(0, 1)[real]
        loss = nats(logits, targets, scored).sum() / len(real)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss / self.prior.levels)
        norm = nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        optimizer.step()
        return {"nats_per_frame": loss.detach(), "gradient_norm": norm}

    def _draw(self, generator: torch.Generator, number: int) -> tuple[CodeBatch, bool]:
        """A batch, and whether it is of copies."""
        late = self.settles and number >= LATE * self.steps
        share = self.config.late_augmented_share if late else self.config.augmented_share
        altered = float(torch.rand((), generator=generator)) < share
        return (self.augmented if altered else self.originals).draw(generator), altered

    def drawn(self, number: int) -> list[int]:
        batch, _ = self._draw(step_generator(self.seed, number, "prior"), number)
        return list(batch.sounds)

    def held_out_loss(self) -> float:
        """Held-out nats a code frame, all levels summed."""
        return sum(nats_per_level(self.prior, self.held_out, self.device))
