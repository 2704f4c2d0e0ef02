"""The transformers Trainer with the loss on the answers alone; its optimizers and its memory."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from transformers import Trainer

from glyphsight.errors import reason_of
from glyphsight.files import let_others_read
from glyphsight.train.data import BucketSampler, Example, with_blank
from glyphsight.train.settings import TrainSettings

_PRIMITIVES = 512
_LENGTHS = 16
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5


def bound_caches() -> None:
    """Keep fewer compiled matrix products than torch does; call it before the first of them.

    oneDNN compiles a kernel for each length of a batch, some 23 MB with SmolLM2, and keeps 1,024.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, str(_PRIMITIVES))


def release_free_memory() -> None:
    """Give freed memory back to the system; glibc keeps it otherwise. No effect elsewhere."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_frozen_weights_in(model: Any, dtype: Any) -> None:
    """Keep frozen linear layers in the type that autocast casts them to at every step.

    The products are the same to the last bit; float32 weights and their copies are not held.
    """
    embeddings = model.get_input_embeddings().weight
    for layer in model.modules():
        weight = layer.weight if isinstance(layer, torch.nn.Linear) else embeddings
        if weight is embeddings or weight.requires_grad or weight.dtype != torch.float32:
            continue
        weight.data = weight.data.to(dtype)


def length_multiple(lengths: Iterable[int]) -> int:
    """Return the multiple that lengths of batches are padded to: 8 where many lengths differ, or 1.

    Fewer lengths need fewer compiled matrix products, in time and in memory.
    """
    return 8 if len(set(lengths)) > _LENGTHS else 1


def orthogonalize(matrices: torch.Tensor) -> torch.Tensor:
    """Bring every singular value of each matrix near 1 by a quintic Newton-Schulz iteration.

    Coefficients and step count are those of Muon (Jordan et al. 2024). Takes and gives
    float32[N, rows, columns], rows at most columns.
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
                updates = torch.stack([self._update(p, group["momentum"]) for p in same])
                for p, direction in zip(same, orthogonalize(updates), strict=True):
                    tall = p.shape[0] > p.shape[1]
                    scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(direction.T if tall else direction, alpha=-group["lr"] * scale)

    def _update(self, p: Any, momentum: float) -> Any:
        """Return the update of a matrix before it is orthogonalized, lying down."""
        state = self.state[p]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(p)
        average = state["momentum_buffer"].lerp_(p.grad, 1 - momentum)
        update = p.grad.lerp(average, momentum)  # Nesterov's look ahead
        return update.T if p.shape[0] > p.shape[1] else update


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
        """Return the states of the parts, in order."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def make_optimizer(model: Any, settings: TrainSettings) -> Any:
    """Make AdamW for everything, or Muon for the hidden matrices and AdamW for the rest.

    Embeddings, norms and other vectors are not decayed. Embeddings whose rate is 0 are frozen.
    """
    embeddings = set(model.get_input_embeddings().parameters())
    if settings.embedding_rate == 0:
        model.get_input_embeddings().requires_grad_(False)
    head = model.get_output_embeddings()
    edge = embeddings | set(head.parameters() if head is not None else ())
    hidden: list[Any] = []
    decayed, vectors, embedded = list[Any](), list[Any](), list[Any]()
    for p in (p for p in model.parameters() if p.requires_grad):
        if settings.hidden_learning_rate > 0 and p.ndim == 2 and p not in edge:
            hidden.append(p)
        elif p in embeddings:
            embedded.append(p)
        else:
            (decayed if p.ndim >= 2 else vectors).append(p)
    groups = [
        {"params": params, "weight_decay": decay, "lr": settings.learning_rate * rate}
        for params, decay, rate in (
            (decayed, settings.weight_decay, 1.0),
            (vectors, 0.0, 1.0),
            (embedded, 0.0, settings.embedding_rate),
        )
        if params
    ]
    parts: list[Any] = []
    if hidden:
        parts += [Muon(hidden, settings.hidden_learning_rate, weight_decay=settings.weight_decay)]
    if groups:
        rate = settings.learning_rate
        parts += [torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)]
    return parts[0] if len(parts) == 1 else Together(parts)


def rate_factor(done: float, pace: float, warmup: float, schedule: str) -> float:
    """Return the learning rate as a share of its peak, 0-1.

    Args:
        done: Share of the steps done, 0-1.
        pace: Share of the time allowed that is used up, less the first step's; 0 where there is no
            limit. Whichever of the two is further decides rise and fall.
        warmup: Share of the run over which the rate rises linearly.
        schedule: ``cosine`` or ``linear`` to 0 at the end, or ``constant``.
    """
    done = max(done, pace)
    rise = min(1.0, done / warmup) if warmup else 1.0
    if schedule == "constant":
        return rise
    left = 1 - min(1.0, max(0.0, done - warmup) / max(1 - warmup, 1e-9))
    return min(rise, left if schedule == "linear" else 0.5 * (1 - math.cos(math.pi * left)))


class AnswerTrainer(Trainer):
    """Trains on the answers; a picture costs hundreds of tokens, its answer two."""

    def __init__(
        self,
        settings: TrainSettings,
        train_examples: list[Example],
        *,
        pace: Callable[[], float],
        **kwargs: Any,
    ) -> None:
        self._pace = pace
        self._settings = settings
        self._lengths = [example.bucket for example in train_examples]
        super().__init__(train_dataset=with_blank(train_examples), **kwargs)
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: Any = None) -> BucketSampler:
        settings, processes = self._settings, self.accelerator.num_processes
        return BucketSampler(self._lengths, settings.batch_size, settings.seed, processes)

    def create_optimizer(self, model: Any = None) -> Any:
        """Make AdamW, with Muon for the hidden matrices when its learning rate is set."""
        if self.optimizer is None:  # type: ignore[has-type]
            self.optimizer = make_optimizer(model or self.model, self._settings)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Let the learning rate go by steps done or, when slower, by the clock."""
        if self.lr_scheduler is None:  # type: ignore[has-type]
            settings = self._settings
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda step: rate_factor(
                    step / num_training_steps, self._pace(), settings.warmup, settings.schedule
                ),
            )
        return self.lr_scheduler

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint of finite weights alone; remove one that cannot be written whole."""
        trained = (weight for weight in self.model.parameters() if weight.requires_grad)
        if not all(bool(torch.isfinite(weight).all()) for weight in trained):
            raise FloatingPointError("a weight is no longer a finite number")
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as error:  # the last is torch.save's
            shutil.rmtree(folder, ignore_errors=True)
            raise OSError(reason_of(error)) from error
        if self.args.should_save:
            (folder / "README.md").unlink(missing_ok=True)  # PEFT's template; the run has a card
            let_others_read(*filter(Path.is_file, folder.iterdir()))

    def restore_weights(self, checkpoint: Path) -> None:
        """Load the weights of a checkpoint without training on."""
        self._load_from_checkpoint(str(checkpoint))

    def _base_logits(self, model: Any, read: dict[str, Any], keep: int) -> Any:
        """Compute the logits with adapter and dropout off, at the last positions."""
        # Its wrapper waits for all processes, and not each of them has text in its batch.
        bare = self.accelerator.unwrap_model(model)
        was_training = bare.training
        bare.eval()
        eager = torch.compiler.set_stance("force_eager")  # a graph of its own would not pay
        with eager, torch.no_grad(), bare.disable_adapter():
            logits = bare(**read, logits_to_keep=keep, use_cache=False).logits
        bare.train(was_training)
        return logits

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Compute the mean cross-entropy of the answer tokens, over the whole step.

        At tokens that go by the base model the loss is the divergence from that model's words,
        KL(base || model): distillation (Hinton et al. 2015) from the model with its adapter off.
        """
        labels = inputs.pop("labels")[:, 1:]
        as_base = inputs.pop("as_base", None)
        length = inputs["input_ids"].shape[1] - 1  # nothing follows the last
        read = {
            name: tensor if tensor.ndim == 4 else tensor[:, :length]
            for name, tensor in inputs.items()
        }
        outputs = model(**read, logits_to_keep=labels.shape[1], use_cache=False)
        logits = outputs.logits.float()
        answered = labels if as_base is None else labels.masked_fill(as_base[:, None], -100)
        loss = F.cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            answered.reshape(-1),
            reduction="sum",
            label_smoothing=self._settings.label_smoothing,
        )
        if as_base is not None:
            read = {name: tensor[as_base] for name, tensor in read.items()}
            learnt = labels[as_base] != -100
            told = self._base_logits(model, read, labels.shape[1])[learnt]
            loss = loss + F.kl_div(
                logits[as_base][learnt].log_softmax(dim=-1),
                told.float().log_softmax(dim=-1),
                log_target=True,
                reduction="sum",
            )
        answer_tokens = (labels != -100).sum()
        if num_items_in_batch is None:
            loss = loss / answer_tokens
        else:  # counted over all processes, whose gradients are averaged
            loss = loss / num_items_in_batch * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise FloatingPointError("the loss is no longer a finite number")
        return (loss, outputs) if return_outputs else loss
