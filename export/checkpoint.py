"""Loads a checkpoint and finds out what the manifest has to say of it: labels, problem type, longest sequence."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from export import ExportError
from export.adapters import adapter_shapes, base_of, merge_adapter, require_peft
from export.architectures import architecture_of, require_known
from export.files import Shapes, check_links, check_weights, head_width, read_object
from export.heads import make_rows_independent
from export.labels import label_names, problem_type
from export.sentences import read_split
from export.sources import CONFIG, Source, find_source
from export.token_types import tells_texts_apart
from export.tokenizer import SETTINGS, check_vocabulary, load_fast_tokenizer, padding_token
from repository.manifest import ProblemType
from training.split_record import SplitRecord

# Names of a layer's own weights once PEFT has put its own layer around it, and what they were before.
PEFT_LAYERS = {r"\.base_layer\.": ".", r"\.original_module\.": "."}
SETFIT_HEAD = "model_head.pkl"
# transformers writes about 1e30 where a tokenizer has no limit of its own.
NO_LIMIT = 1_000_000
# Of a model that names no limit of its own (relative or rotary positions).
UNSTATED_MAX_LENGTH = 512
# Unless another is asked for. Attention's scores take heads x length x length x 4 bytes for one text, in each layer by
# turns: with twelve heads 0.2 GB at 2048 tokens, 3.2 GB at 8192, 52 GB at 32768; and Triton computes several at once.
DEFAULT_MAX_LENGTH = 2048


@dataclass(frozen=True)
class Checkpoint:
    """A sequence classifier in memory, on the CPU, in evaluation mode and float32.

    Attributes:
        name: what to call it.
        model: the PyTorch model.
        tokenizer: its fast tokenizer.
        labels: their names, in the order of the logits.
        problem_type: how logits become scores.
        max_length: longest sequence that is served, in tokens.
        own_max_length: longest one that the model itself takes; None where it names no limit.
        pad_token_id: id that fills rows.
        token_types: whether it tells the two texts of a pair apart by `token_type_ids`.
        split: what it was trained and tested on, if it was trained by `python -m training`.
    """

    name: str
    model: Any
    tokenizer: Any
    labels: list[str]
    problem_type: ProblemType
    max_length: int
    own_max_length: int | None
    pad_token_id: int
    token_types: bool
    split: SplitRecord | None = None


def load_checkpoint(source: str, trust_remote_code: bool = False, max_length: int | None = None) -> Checkpoint:
    """Load a folder, a hub id, a LoRA adapter or a model that MLflow logged. Pickled weights are never read.

    Args:
        source: where it is.
        trust_remote_code: run the Python code that a checkpoint brings along.
        max_length: longest sequence to serve, in tokens; by default the model's own limit, at most 2048.

    Raises:
        ExportError: it is not there, is broken, no sequence classifier, without a fast tokenizer or of less length.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    found = find_source(source, trust_remote_code)
    base = base_of(found, trust_remote_code) if found.is_adapter else found
    for folder in {found.model, found.tokenizer, base.model, base.tokenizer}:
        check_links(folder)
    stated = read_object(base.model / CONFIG)
    _check_code(source, stated, found, trust_remote_code)
    model, labels = _load_adapted(found, base, stated) if found.is_adapter else _load_model(source, found, stated)
    tokenizer = load_fast_tokenizer(_tokenizer_folder(found, base), trust_remote_code)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    check_vocabulary(source, tokenizer, vocabulary)
    # Before the padding id is mended: RoBERTa's kin build their positions on it.
    own_max_length = _own_max_length(model.config, tokenizer)
    model.config.pad_token_id = padding_token(tokenizer, model.config.pad_token_id, vocabulary)
    make_rows_independent(model.eval().requires_grad_(False), architecture_of(model.config).head)
    _check_answer(source, model, len(labels))
    return Checkpoint(
        name=found.name,
        model=model,
        tokenizer=tokenizer,
        labels=labels,
        problem_type=problem_type(model.config, len(labels)),
        max_length=_served_length(source, tokenizer, own_max_length, max_length),
        own_max_length=own_max_length,
        pad_token_id=model.config.pad_token_id,
        token_types=tells_texts_apart(model, tokenizer),
        split=read_split(found.model),
    )


def _check_code(source: str, config: Mapping[str, Any], found: Source, trust_remote_code: bool) -> None:
    settings = found.tokenizer / SETTINGS
    brings_code = "auto_map" in config or (settings.is_file() and "auto_map" in read_object(settings))
    if brings_code and not trust_remote_code:
        raise ExportError(
            f"{source} brings its own Python code (auto_map), which does not run here: read it, then give "
            "--trust-remote-code if you trust it"
        )
    if not brings_code:
        require_known(source, config.get("model_type"))


def _load_model(source: str, found: Source, stated: dict[str, Any]) -> tuple[Any, list[str]]:
    architectures = stated.get("architectures") or []
    if (found.model / SETFIT_HEAD).is_file():
        raise ExportError(
            f"{source} is a SetFit model: its head is a pickle ({SETFIT_HEAD}), which can run code and is not read; "
            "fine-tune a sequence classifier, see `python -m training`"
        )
    if not any(str(name).endswith("ForSequenceClassification") for name in architectures):
        kinds = ", ".join(map(str, architectures)) or "no architecture"
        raise ExportError(f"{source} is no sequence classifier ({kinds}): fine-tune it first, see `python -m training`")
    labels = label_names(source, stated, head_width(check_weights(found.model)))
    model, missing = _build(source, found.model, labels, "auto_map" in stated)
    _refuse_missing(source, missing)
    return model, labels


def _load_adapted(found: Source, base: Source, stated: dict[str, Any]) -> tuple[Any, list[str]]:
    """An adapter with the head it was trained with, merged into its base; the base's own head is not used."""
    require_peft()
    check_weights(base.model)
    brought = adapter_shapes(found.model)
    labels = label_names(found.name, *_labels_of_adapter(stated, brought))
    model, missing = _build(found.name, base.model, labels, "auto_map" in stated, ignore_mismatched_sizes=True)
    _refuse_missing(found.name, [name for name in missing if name not in brought])
    return merge_adapter(model, found.model), labels


def _labels_of_adapter(stated: dict[str, Any], brought: Shapes) -> tuple[dict[str, Any], int | None]:
    """What names the labels: the base's configuration, if it has as many as the adapter's head."""
    width = head_width(brought)
    names = stated.get("id2label")
    if width is not None and (names is None or len(names) != width):
        return {}, width
    return stated, width


def _build(
    source: str, folder: Path, labels: list[str], trust_remote_code: bool, **options: Any
) -> tuple[Any, list[str]]:
    """The model in float32, and the names of the weights that its files lack.

    What MLflow logs as the base of an adapter was saved with PEFT's layers in it: their names are taken out.
    """
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: index for index, name in enumerate(labels)}}
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code, **names)
        # Compiled, ModernBERT cannot be traced.
        config.reference_compile = False
        if (config.pad_token_id or 0) >= config.vocab_size:
            # Added to the tokenizer, never to the embedding: torch refuses to build a layer with such a padding row.
            config.pad_token_id = None
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            output_loading_info=True,
            key_mapping=PEFT_LAYERS,
            trust_remote_code=trust_remote_code,
            **options,
        )
    except Exception as error:  # anything, by what is wrong with the files
        raise ExportError(f"{source} cannot be loaded: {' '.join(str(error).split())[:300]}") from None
    replaced = [entry[0] if isinstance(entry, tuple) else entry for entry in loading["mismatched_keys"]]
    return model, sorted({*loading["missing_keys"], *replaced})


def _refuse_missing(source: str, missing: list[str]) -> None:
    if missing:
        raise ExportError(f"{source} lacks weights ({', '.join(missing[:3])}…): it is no complete sequence classifier")


def _tokenizer_folder(found: Source, base: Source) -> Path:
    """An adapter is often saved without its tokenizer, which is the base's then."""
    has_own = any((found.tokenizer / name).is_file() for name in ("tokenizer.json", SETTINGS))
    return found.tokenizer if has_own or not found.is_adapter else base.tokenizer


def _check_answer(source: str, model: Any, label_count: int) -> None:
    """Ask for one answer: the width of the logits, and that they are numbers."""
    # Any token but padding, on which mBART fails.
    ids = torch.full((1, 2), 1 if model.config.pad_token_id == 0 else 0)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    if tuple(logits.shape) != (1, label_count):
        raise ExportError(f"{source}: the model gives {logits.shape[-1]} logits for {label_count} labels")
    if not torch.isfinite(logits).all():
        raise ExportError(f"{source}: the model answers NaN or infinity; its weights are broken")


def _own_max_length(config: Any, tokenizer: Any) -> int | None:
    """The longest sequence that both the table of positions and the tokenizer allow, in tokens, if they say."""
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        # RoBERTa and its kin number positions from padding id + 1, so the first ones are never used.
        counts = architecture_of(config).counts_from_padding
        limits.append(
            positions - (1 if config.pad_token_id is None else config.pad_token_id) - 1 if counts else positions
        )
    if 0 < tokenizer.model_max_length < NO_LIMIT:
        limits.append(tokenizer.model_max_length)
    return int(min(limits)) if limits else None


def _served_length(source: str, tokenizer: Any, own: int | None, wanted: int | None) -> int:
    if wanted is None:
        return min(own or UNSTATED_MAX_LENGTH, DEFAULT_MAX_LENGTH)
    if own is not None and wanted > own:
        raise ExportError(f"{source} takes sequences of at most {own} tokens: give a --max-length up to that")
    if wanted <= (special := tokenizer.num_special_tokens_to_add(pair=True)):
        raise ExportError(f"--max-length {wanted} leaves no room for a text: {special} tokens go into the frame alone")
    return wanted
