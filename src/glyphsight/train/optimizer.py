"""Optimizers of the weights, and the learning rate over a run."""

from __future__ import annotations

import math
from typing import Any

import torch

from glyphsight.train.settings import TrainSettings

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Bring every singular value of each matrix near 1 by a quintic Newton-Schulz iteration.

    Coefficients and step count are those of Muon (Jordan et al. 2024).

    Args:
        matrices: float32[N, rows, columns], rows at most columns.

    Returns:
        float32[N, rows, columns].
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """Muon: momentum, orthogonalized, for the hidden matrices of a network.

    The rule of ``torch.optim.Muon``, in float32 and with matrices of one shape stacked: for many
    small matrices on a CPU that is more than twice as fast (``benchmarks/optimizer.py``).
    """

    def __init__(
        self, params: list[Any], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update every matrix."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Any]] = {}
            for p in group["params"]:
                if p.grad is not None:
                    by_shape.setdefault(tuple(sorted(p.shape)), []).append(p)
            for same in by_shape.values():
                self._step(same, group["lr"], group["momentum"], group["weight_decay"])

    def _step(self, params: list[Any], lr: float, momentum: float, weight_decay: float) -> None:
        updates = []
        for p in params:
            state = self.state[p]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(p)
            average = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
            update = p.grad.lerp(average, momentum)  # Nesterov's look ahead
            updates.append(update.T if p.shape[0] > p.shape[1] else update)
        for p, direction in zip(params, orthogonalize(torch.stack(updates)), strict=True):
            tall = p.shape[0] > p.shape[1]
            scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
            p.mul_(1 - lr * weight_decay)
            p.add_(direction.T if tall else direction, alpha=-lr * scale)


class Together(torch.optim.Optimizer):
    """Several optimizers that step as one, so that a trainer sees a single optimizer.

    The parameter groups are the parts' own, in order, so that a schedule reaches them all.
    """

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Step every part."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The parts' states, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def make_optimizer(model: Any, settings: TrainSettings) -> Any:
    """AdamW on everything, or Muon on the hidden matrices and AdamW on the rest.

    Embeddings, norms and other vectors are not decayed. Embeddings whose rate is 0 are frozen.
    """
    if settings.embedding_rate == 0:
        model.get_input_embeddings().requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    embeddings = {id(p) for p in model.get_input_embeddings().parameters()}
    head = model.get_output_embeddings()
    edge = embeddings | ({id(p) for p in head.parameters()} if head is not None else set())
    use_muon = settings.hidden_learning_rate > 0
    hidden = [p for p in trained if use_muon and p.ndim == 2 and id(p) not in edge]
    chosen = {id(p) for p in hidden}
    rest = [p for p in trained if id(p) not in chosen]
    decayed = [p for p in rest if p.ndim >= 2 and id(p) not in embeddings]
    vectors = [p for p in rest if p.ndim < 2 and id(p) not in embeddings]
    groups = [
        {"params": params, "weight_decay": decay, "lr": settings.learning_rate * rate}
        for params, decay, rate in (
            (decayed, settings.weight_decay, 1.0),
            (vectors, 0.0, 1.0),
            ([p for p in rest if id(p) in embeddings], 0.0, settings.embedding_rate),
        )
        if params
    ]
    parts: list[Any] = []
    if hidden:
        parts.append(
            Muon(hidden, settings.hidden_learning_rate, weight_decay=settings.weight_decay)
        )
    if groups:
        parts.append(
            torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
        )
    return parts[0] if len(parts) == 1 else Together(parts)


def rate_factor(done: float, pace: float, warmup: float, schedule: str) -> float:
    """Return the learning rate as a share of its peak.

    Args:
        done: Share of the steps done, 0-1.
        pace: Share of the time allowed that is used up, less the first step's; 0 where there is no
            limit. Whichever of the two is further decides rise and fall.
        warmup: Share of the run over which the rate rises linearly.
        schedule: ``cosine`` or ``linear`` to 0 at the end, or ``constant``.

    Returns:
        0-1.
    """
    done = max(done, pace)
    rise = min(1.0, done / warmup) if warmup else 1.0
    if schedule == "constant":
        return rise
    left = 1 - min(1.0, max(0.0, done - warmup) / max(1 - warmup, 1e-9))
    return min(rise, left if schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))
