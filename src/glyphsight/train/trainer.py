"""The transformers Trainer, with the loss and the logits on the answer's tokens alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from transformers import Trainer

from glyphsight.train.data import BucketSampler, Examples
from glyphsight.train.optimizer import make_optimizer, rate_factor
from glyphsight.train.settings import TrainSettings


class UnwritableError(Exception):
    """A checkpoint could not be written; says why."""


def reason_of(error: Exception) -> str:
    """Why a file could not be written, in one line."""
    said = error.strerror if isinstance(error, OSError) else str(error).strip().split("\n")[0]
    return said or repr(error)


class AnswerTrainer(Trainer):
    """Trains on the answers; a picture costs hundreds of tokens, its answer two."""

    def __init__(
        self,
        settings: TrainSettings,
        train_examples: Examples,
        *,
        pace: Callable[[], float],
        **kwargs: Any,
    ) -> None:
        self._pace = pace
        self._settings = settings
        # Plain text goes first, together: among pictures its tokens would outweigh their answers.
        self._lengths = [
            -len(example.ids) if example.is_text else len(example.ids)
            for example in train_examples.examples
        ]
        super().__init__(train_dataset=train_examples, **kwargs)
        self.model_accepts_loss_kwargs = True

    def _get_train_sampler(self, train_dataset: Any = None) -> BucketSampler:
        settings, processes = self._settings, self.accelerator.num_processes
        return BucketSampler(self._lengths, settings.batch_size, settings.seed, processes)

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW, with Muon on the hidden matrices when its learning rate is set."""
        if self.optimizer is None:  # type: ignore[has-type]
            self.optimizer = make_optimizer(model or self.model, self._settings)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The learning rate as a share of its peak, by steps done or, when slower, by the clock."""
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
        """Write a checkpoint of sound weights; what cannot be written whole is taken away again.

        Raises:
            FloatingPointError: A weight is no finite number, so nothing is written.
            UnwritableError: The checkpoint does not fit on the disk.
        """
        trained = (weight for weight in self.model.parameters() if weight.requires_grad)
        if not all(bool(torch.isfinite(weight).all()) for weight in trained):
            raise FloatingPointError("a weight is no longer a finite number")
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, SafetensorError, RuntimeError) as error:  # the last is torch.save's
            half = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            shutil.rmtree(half, ignore_errors=True)
            raise UnwritableError(reason_of(error)) from error

    def restore_weights(self, checkpoint: Path) -> None:
        """Load the weights of a checkpoint without training on."""
        self._load_from_checkpoint(str(checkpoint))

    def _base_logits(self, model: Any, read: dict[str, Any], keep: int) -> Any:
        """What the model says with its adapter and its dropout off, at the last positions.

        The bare model is asked: in several processes the wrapper around it waits for all of them,
        and not every one of them has text in its batch.
        """
        bare = self.accelerator.unwrap_model(model)
        was_training = bare.training
        bare.eval()
        with torch.no_grad(), bare.disable_adapter():
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
        """Mean cross-entropy of the answer tokens, over the whole step when it is accumulated.

        At tokens that go by the base model it is the divergence from what that model would say,
        KL(base || model): distillation (Hinton et al. 2015) from the model with its adapter off.
        """
        labels = inputs.pop("labels")[:, 1:]
        as_base = inputs.pop("as_base", None)
        read = {name: tensor[:, :-1] for name, tensor in inputs.items()}  # nothing follows the last
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
