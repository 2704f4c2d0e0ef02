"""Which optimizer steps which weights."""

from __future__ import annotations

from typing import Any

import torch

from glyphsight.train.settings import TrainSettings


class Together(torch.optim.Optimizer):
    """Several optimizers that step as one, so that a trainer sees a single optimizer.

    The parameter groups are the parts' own, in order, so that a schedule reaches them all.
    """

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        start = 0
        for part in parts:
            part.param_groups = self.param_groups[start : start + len(part.param_groups)]
            start += len(part.param_groups)

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

    Norms and other vectors are not decayed.
    """
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    edge = {
        id(p)
        for layer in (model.get_input_embeddings(), model.get_output_embeddings())
        if layer is not None
        for p in layer.parameters()
    }
    use_muon = settings.hidden_learning_rate > 0
    hidden = [p for _, p in trained if use_muon and p.ndim == 2 and id(p) not in edge]
    chosen = {id(p) for p in hidden}
    rest = [p for _, p in trained if id(p) not in chosen]
    adam = torch.optim.AdamW(
        [
            {"params": [p for p in rest if p.ndim >= 2], "weight_decay": settings.weight_decay},
            {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
    )
    if not hidden:
        return adam
    muon = torch.optim.Muon(
        hidden, lr=settings.hidden_learning_rate, weight_decay=settings.weight_decay
    )
    return Together([muon, adam])
