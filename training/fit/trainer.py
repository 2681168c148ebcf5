"""The Trainer of a run: batches of near lengths, losses that add up over parts, checkpoints to go on from."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.state import AcceleratorState
from safetensors import SafetensorError
from safetensors.torch import save_file
from transformers import Trainer, TrainingArguments
from transformers.utils import SAFE_WEIGHTS_NAME

from pretrained.batches import fits
from pretrained.collate import LABELS, collate
from pretrained.inputs import ATTENTION_MASK, INPUT_IDS
from repository.manifest import ProblemType
from training.figures.scores import CHOSEN_BY
from training.fit.batches import NearInLength
from training.fit.predict import DivergedError
from training.settings import MixedPrecision, Settings

WARMUP_SHARE = 0.1
# Of a batch. Each class guessed alike costs the logarithm of their number; only weights gone astray reach this.
DIVERGED_LOSS = 1e4
_EVALUATION_BATCH = 64
# A figure of an epoch that is none of its own: by which the best one is chosen, where ties are to be broken.
CHOSEN = "chosen"


class ClassifierTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
    """Hugging Face's Trainer for texts of any length, on a machine of any memory."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        # The loss is computed here (`training.fit.tasks`): some forwards take no more arguments than the model needs.
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, train_dataset: Any = None) -> NearInLength:
        encoded = self.train_dataset if train_dataset is None else train_dataset
        lengths = [len(example[INPUT_IDS]) for example in encoded]
        return NearInLength(lengths, self.args.per_device_train_batch_size, self.args.seed)

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        # Gradients of the parts add up to that of the batch, because the loss is a sum over so many items.
        loss = sum(
            super(ClassifierTrainer, self).training_step(model, part, num_items_in_batch) for part in _parts(inputs)
        )
        assert isinstance(loss, torch.Tensor)
        if not loss <= DIVERGED_LOSS:  # NaN is not either
            raise DivergedError(f"the loss is {float(loss):.3g} at step {self.state.global_step + 1}")
        return loss

    def _get_num_items_in_batch(self, batch_samples: list[dict[str, torch.Tensor]], device: Any) -> int:  # noqa: ARG002
        # Texts, over all batches of a step. The Trainer would count labels, of which a text may have several.
        return sum(len(batch[LABELS]) for batch in batch_samples)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        # What is not trained comes with the base model: of a multilingual encoder four fifths are embeddings.
        folder = Path(output_dir or self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        trained = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        save_file({name: weight.detach().contiguous() for name, weight in trained.items()}, folder / SAFE_WEIGHTS_NAME)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        try:
            super()._save_checkpoint(model, trial)
        except (RuntimeError, SafetensorError) as error:  # as torch and safetensors call a full disk
            raise OSError(f"a checkpoint can't be written: {error}") from error

    def _rotate_checkpoints(self, use_mtime: bool = False, output_dir: str | None = None) -> None:  # noqa: ARG002
        # By their numbers: not every file system keeps times finely enough, of which the Trainer would warn.
        super()._rotate_checkpoints(use_mtime=False, output_dir=output_dir)

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Any, Any, Any]:
        parts = list(_parts(inputs))
        answers = [
            super(ClassifierTrainer, self).prediction_step(model, p, prediction_loss_only, ignore_keys) for p in parts
        ]
        losses, logits, labels = zip(*answers, strict=True)
        sizes = torch.tensor([len(part[LABELS]) for part in parts], device=losses[0].device)
        # What else a model gives, BART its encoder's output, would be kept of every text, and joined.
        alone = [each[0] if isinstance(each, tuple) else each for each in logits]
        return (torch.stack(losses) * sizes).sum() / sizes.sum(), torch.cat(alone), torch.cat(labels)


def _parts(batch: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """Cut a batch into as few parts as fit into the memory, each padded no further than to its own longest text."""
    count, length = batch[INPUT_IDS].shape
    size = count
    while not fits(size, length):
        size //= 2
    if size == count:
        # A copy: the Trainer takes the labels out of what it is given.
        yield dict(batch)
        return
    for start in range(0, count, size):
        part = {name: tensor[start : start + size] for name, tensor in batch.items()}
        longest = int(part[ATTENTION_MASK].sum(dim=1).max())
        yield {
            name: tensor[:, :longest] if tensor.ndim > 1 and name != LABELS else tensor for name, tensor in part.items()
        }


def arguments(settings: Settings, folder: Path, task: ProblemType, keep: bool = True) -> TrainingArguments:
    """Return what the Trainer is told.

    Args:
        settings: of the run; its precision is decided (`precision_for`).
        folder: takes the checkpoints.
        task: decides which figure chooses the best epoch.
        keep: whether checkpoints are written, the best epoch's and the last one with all that going on takes.
    """
    chosen_by, more_is_better = CHOSEN_BY[task]
    # Both outlive a Trainer, so that a run in 16 bits would leave later ones of this process in them.
    os.environ.pop("ACCELERATE_MIXED_PRECISION", None)
    AcceleratorState._reset_state(reset_partial_state=True)
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=_EVALUATION_BATCH,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        warmup_ratio=WARMUP_SHARE,
        seed=settings.seed,
        data_seed=settings.seed,
        bf16=settings.mixed_precision == "bf16",
        fp16=settings.mixed_precision == "fp16",
        use_cpu=not torch.cuda.is_available(),  # else it refuses bfloat16, which processors have too
        eval_strategy="epoch",
        save_strategy="epoch" if keep else "no",
        logging_strategy="epoch",
        save_total_limit=1,  # and the best one
        load_best_model_at_end=keep,
        restore_callback_states_from_checkpoint=True,
        metric_for_best_model=chosen_by,
        greater_is_better=more_is_better,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )


def precision_of(wanted: MixedPrecision) -> MixedPrecision:
    """Return what `auto` comes to: bfloat16 on a GPU or processor that multiplies in it, else nothing but float32."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "off"
    # Without such instructions it is emulated, and slower than float32. Older releases of torch don't tell of them.
    features: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "off"


def precision_for(model: Any, example: dict[str, Any], wanted: MixedPrecision) -> MixedPrecision:
    """Return what `auto` comes to for a model: some forwards hold numbers that bfloat16 does not, as DeBERTa's does.

    Args:
        model: loaded, on the processor.
        example: what the model is given for a text, encoded.
        wanted: what was asked for.
    """
    found = precision_of(wanted)
    if wanted != "auto" or found == "off" or torch.cuda.is_available():
        return found
    inputs = collate([example], model.config.pad_token_id)
    inputs.pop(LABELS, None)
    try:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            model(**inputs)
    except RuntimeError:
        return "off"
    return found


def half_for(model: Any, example: dict[str, Any], wanted: MixedPrecision) -> torch.dtype | None:
    """Return what loops without a Trainer compute in; None: float32.

    bfloat16 in place of float16, too: nothing there scales the losses, as float16 needs it.

    Args:
        model: loaded, on the processor.
        example: what the model is given for a text, encoded.
        wanted: what was asked for.
    """
    return None if precision_for(model, example, wanted) == "off" else torch.bfloat16


def refused_precision(wanted: MixedPrecision) -> str | None:
    """Return why this machine cannot train like that; None if it can."""
    if wanted == "fp16" and not torch.cuda.is_available():
        return "--mixed-precision fp16 needs a GPU, and there is none; bf16 works on processors too"
    return None
