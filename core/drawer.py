"""A prior made ready for drawing: one code frame at a time, level by level, in few operations.

On so little data an operation costs more than its arithmetic. So what weights alone decide
is summed up beforehand, and a code is drawn by one addition and one search.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from core.prior import CLOCK_STEPS, UNKNOWN, Conditions, Prior, half_octaves

Freedom = tuple[float, int, float]  # temperature, top-k, top-p of one level


def chosen_codes(
    logits: Tensor, noise: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Draw one class a row: the highest, once Gumbel noise is added, has the softmax's odds.

    Args:
        logits: (B, C) with -inf for the impossible.
        noise: (B, C) Gumbel, finite.
    Returns:
        (B,) int64 classes and (B,) their logits plus noise, not finite where the logits hold
        NaN or infinity or nothing possible.
    Source: the Gumbel-max trick, as in Maddison et al. 2014, "A* Sampling".
    """
    if temperature != 1.0:
        logits = logits / temperature
    if top_k or top_p < 1.0:
        ordered, order = logits.log_softmax(-1).sort(dim=-1, descending=True)
        share = ordered.exp()
        dropped = share.cumsum(-1) - share >= top_p  # what is likelier is enough
        if top_k:
            dropped[:, top_k:] = True
        ordered = ordered.masked_fill(dropped, float("-inf"))
        logits = torch.empty_like(logits).scatter_(-1, order, ordered)
    highest, classes = (logits + noise).max(-1)
    return classes, highest


class Drawer:
    """The same function as Prior.states and Prior.frame_logits up to rounding.

    Tables have a row more than there are codes: the end or, as the code before, that a
    sound begins.

    Args:
        conditions: of the B sounds that are drawn.
        freedom: of each level.
    """

    def __init__(self, prior: Prior, conditions: Conditions, freedom: Sequence[Freedom]):
        self.end, self.ends, root = prior.end, prior.ends.detach(), 2**0.5
        self.freedom = freedom
        lstm, books, norm = dict(prior.lstm.named_parameters()), prior.codebooks, prior.depth_norm
        told, unknown = prior.told(conditions), torch.zeros_like(prior.start)[None]
        self.recur = lstm["weight_hh_l0"].T.contiguous()  # a transposed view is slower
        self.depth_state = prior.depth_state.weight.T.contiguous()
        # gelu(x) with x = -√2 y is -y erfc(y) / √2; roots and sign are put into the weights.
        self.norm = norm.normalized_shape, root * norm.weight, root * norm.bias, norm.eps
        self.mlp = (prior.depth_mlp.weight.T / -2).contiguous()
        self.mlp_bias = prior.depth_mlp.bias / -root
        near = torch.einsum("lhd,lkd->lhk", prior.geometry_out, books)
        self.heads = ((prior.heads + F.pad(near, (0, 1))) / root).unbind()
        # A code's vector for deeper levels, and the way from its level's own to the next one's.
        steps = prior.depth_level.diff(dim=0, append=prior.depth_level[-1:])
        self.below = (F.pad(books @ prior.depth_below, (0, 0, 0, 1)) + steps[:, None]).unbind()
        # Everything heard, a row each: codes level by level, steps of both clocks, an unknown
        # length, each sound's conditions. 4 H are for the LSTM's gates, H for the depth half.
        seen = F.pad(prior.embeddings + books @ prior.geometry_in, (0, 0, 0, 1))
        seen[0, self.end] = prior.start
        before = F.pad(books @ prior.depth_previous.weight.T, (0, 0, 0, 1)).flatten(0, 1)
        rows = [seen.flatten(0, 1), prior.elapsed.weight, prior.left.weight, unknown, told]
        gates = torch.cat(rows) @ lstm["weight_ih_l0"].T
        gates[-len(told) :] += lstm["bias_ih_l0"] + lstm["bias_hh_l0"]
        depth = F.pad(before, (0, 0, 0, len(gates) - len(before)))
        depth[-len(told) :] += prior.depth_state(told) + prior.depth_level[0]
        self.heard = torch.cat([gates, depth], dim=1)
        # Logits by the code before: the bias, and for a code that stays what staying is worth.
        stays = F.pad(prior.stays, (0, 1)).diag_embed()  # (L, K + 1, K + 1)
        known = stays + prior.head_bias[:, None]
        known[1:, :, self.end] = float("-inf")
        known[0, self.end, self.end] = float("-inf")  # a sound has a frame at least
        self.known = known.flatten(0, 1)
        place = torch.arange(len(self.heard), device=books.device)
        self.first_code = place[: len(before) : self.end + 1]  # (L,) rows
        self.first_elapsed, self.first_left = len(before), len(before) + CLOCK_STEPS
        self.told = place[-len(told) :]
        self.first_heard = place[: len(told)] * (prior.levels + 3)  # in the list of rows to sum

    def clocks(self, frame: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Counts of frames, as Prior.states takes them -> two rows of what is heard.

        The third is what `frame` takes as `ending`.
        """
        known = half_octaves(left.clamp_min(0)).masked_fill(left == UNKNOWN, CLOCK_STEPS)
        return half_octaves(frame) + self.first_elapsed, known + self.first_left, self.ends[known]

    def state(
        self, before: Tensor, elapsed: Tensor, left: Tensor, hidden: Tensor, cell: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the LSTM.

        Args:
            before: (B, L) the codes before, codebook_size where a sound begins.
            elapsed, left: (B,) rows that `clocks` gives.
            hidden, cell: (B, H), zeros where a sound begins.
        Returns:
            (B, H) the depth half's input, the new hidden state, the new cell.
        """
        clocks = torch.stack([elapsed, left, self.told], dim=1)
        rows = torch.cat([before + self.first_code, clocks], dim=1).flatten()
        heard = F.embedding_bag(rows, self.heard, self.first_heard, mode="sum")
        width = 4 * hidden.shape[1]
        gates = torch.addmm(heard[:, :width], hidden, self.recur)
        enter, forget, candidate, leave = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        return torch.addmm(heard[:, width:], hidden, self.depth_state), hidden, cell

    def frame(
        self, inputs: Tensor, before: Tensor, noise: Tensor, ending: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw a frame, level after level.

        Args:
            inputs: (B, H) as `state` gives them.
            before: (B, L) as `state` takes them.
            noise: (L, B, K + 1) Gumbel, finite.
            ending: (B,) what is added to the end's logit, -inf where the sound may not end.
        Returns:
            (B, L) codes; (B,) the sum of their scores, not finite where the weights overflow.
        """
        known = F.embedding(before + self.first_code, self.known).unbind(1)
        known[0][:, self.end].add_(ending)
        codes: list[Tensor] = []
        scores: list[Tensor] = []
        for level, (thrown, freely) in enumerate(zip(noise.unbind(), self.freedom, strict=True)):
            normed = torch.layer_norm(inputs, *self.norm)
            turned = torch.addmm(self.mlp_bias, normed, self.mlp)
            hidden = torch.addcmul(normed, turned, turned.erfc(), value=-1)
            logits = torch.addmm(known[level], hidden, self.heads[level])
            code, score = chosen_codes(logits, thrown, *freely)
            inputs = inputs + self.below[level].index_select(0, code)
            codes.append(code)
            scores.append(score)
        return torch.stack(codes, dim=1), torch.stack(scores).sum(0)
