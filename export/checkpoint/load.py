"""Loads a checkpoint and finds out what the manifest has to say of it: labels, problem type, longest sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import logging as transformers_logging

from export import ExportError
from export.checkpoint.adapters import adapter_shapes, base_of, merge_adapter, require_peft
from export.checkpoint.heads import make_rows_independent
from export.checkpoint.labels import label_names, problem_type
from export.checkpoint.layout import Layout
from export.checkpoint.sources import Source, find_source
from export.checkpoint.token_types import token_types_of
from export.texts.sentences import read_split
from pretrained import CheckpointError
from pretrained.architectures import architecture_of, require_known
from pretrained.files import CONFIG, Shapes, check_links, check_weights, head_width, read_object
from pretrained.inputs import leave_out_unread
from pretrained.lengths import own_max_length, usual_max_length
from pretrained.quantization import require_full_precision
from pretrained.tokenizer import SETTINGS, check_vocabulary, has_tokenizer, load_fast_tokenizer, padding_token
from pretrained.weights import weights_text
from repository.manifest import ProblemType
from repository.spelling import as_called
from training.data.split_record import SplitRecord

# Names of a layer's own weights once PEFT has put its own layer around it, and what they were before.
PEFT_LAYERS = {r"\.base_layer\.": ".", r"\.original_module\.": "."}
SETFIT_HEAD = "model_head.pkl"


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
        token_types: whether its tokens differ in type (`token_type_ids`), as those of a pair's two texts do as a rule.
        own_pad_token_id: the padding token that its own configuration names, if it does.
        split: what it was trained and tested on, if it was trained by `python -m training`.
        report_folder: where the report of its training may lie, to be taken along.
        weights: digests of its files of weights; of a LoRA adapter, of its own.
        layout: the form in which its graph is wanted.
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
    own_pad_token_id: int | None
    split: SplitRecord | None = None
    report_folder: Path | None = None
    weights: str = ""
    layout: Layout = Layout.FUSED


def load_checkpoint(
    source: str,
    trust_remote_code: bool = False,
    max_length: int | None = None,
    labels: Sequence[str] | None = None,
) -> Checkpoint:
    """Load a folder, a hub id, a LoRA adapter or a model that MLflow logged. Pickled weights are never read.

    Args:
        source: where it is.
        trust_remote_code: run the Python code that a checkpoint brings along.
        max_length: longest sequence to serve, in tokens; by default the model's own limit, at most 2048.
        labels: their names in the order of the logits, in place of those that the checkpoint has.

    Raises:
        ExportError: it is not there, is broken, no sequence classifier, without a fast tokenizer or of less length.
    """
    try:
        return _load(source, trust_remote_code, max_length, labels)
    except CheckpointError as error:
        raise ExportError(str(error)) from None


def _load(source: str, trust_remote_code: bool, max_length: int | None, labels: Sequence[str] | None) -> Checkpoint:
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    found = find_source(source, trust_remote_code)
    base = base_of(found, trust_remote_code) if found.is_adapter else found
    for folder in {found.model, found.tokenizer, base.model, base.tokenizer}:
        check_links(folder)
    stated = read_object(base.model / CONFIG)
    _check_code(source, stated, found, trust_remote_code)
    require_full_precision(source, stated, base.model)
    load = _load_adapted if found.is_adapter else _load_model
    model, names = load(source, found, base, stated, labels)
    tokenizer = load_fast_tokenizer(_tokenizer_folder(found, base), trust_remote_code)
    vocabulary = model.get_input_embeddings().weight.shape[0]
    check_vocabulary(source, tokenizer, vocabulary)
    model.eval().requires_grad_(False)
    leave_out_unread(model, tokenizer)
    token_types = token_types_of(source, model, tokenizer)
    # Before the padding id is mended: RoBERTa's kin build their positions on it.
    own_length, own_padding = own_max_length(model.config, tokenizer), model.config.pad_token_id
    model.config.pad_token_id = padding_token(tokenizer, own_padding, vocabulary)
    make_rows_independent(model, architecture_of(model.config).head, token_types, own_padding is not None)
    _check_answer(source, model, len(names))
    return Checkpoint(
        name=found.name,
        model=model,
        tokenizer=tokenizer,
        labels=names,
        problem_type=problem_type(model.config, len(names)),
        max_length=_served_length(source, tokenizer, own_length, max_length),
        own_max_length=own_length,
        pad_token_id=model.config.pad_token_id,
        token_types=token_types.by_mask,
        own_pad_token_id=own_padding,
        split=read_split(found.model),
        report_folder=found.model,
        # Now, not when it is written: the folder may be trained anew meanwhile.
        weights=weights_text(found.model),
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


def _load_model(
    source: str, found: Source, _: Source, stated: dict[str, Any], given: Sequence[str] | None
) -> tuple[Any, list[str]]:
    architectures = stated.get("architectures") or []
    if (found.model / SETFIT_HEAD).is_file():
        raise ExportError(
            f"{source} is a SetFit model: its head is a pickle ({SETFIT_HEAD}), which can run code and is not read; "
            f"fine-tune a sequence classifier, see {as_called('`python -m training`')}"
        )
    if not any(str(name).endswith("ForSequenceClassification") for name in architectures):
        kinds = ", ".join(map(str, architectures)) or "no architecture"
        advice = as_called("fine-tune it first, see `python -m training`")
        raise ExportError(f"{source} is no sequence classifier ({kinds}): {advice}")
    labels = label_names(source, stated, head_width(check_weights(found.model)), given)
    model, missing = _build(source, found.model, found.model, labels, "auto_map" in stated)
    _refuse_missing(source, missing)
    return model, labels


def _load_adapted(
    _: str, found: Source, base: Source, stated: dict[str, Any], given: Sequence[str] | None
) -> tuple[Any, list[str]]:
    """An adapter with the head it was trained with, merged into its base; the base's own head is not used.

    A `config.json` beside the adapter is that of the model that was trained: it names labels, problem and padding.
    """
    require_peft()
    check_weights(base.model)
    brought = adapter_shapes(found.model)
    own = read_object(found.model / CONFIG) if (found.model / CONFIG).is_file() else {}
    described = found.model if own.get("model_type") == stated.get("model_type") else base.model
    labels = label_names(found.name, *_labels_of_adapter(own or stated, brought), given)
    model, missing = _build(
        found.name, base.model, described, labels, "auto_map" in stated, ignore_mismatched_sizes=True
    )
    _refuse_missing(found.name, [name for name in missing if name not in brought])
    return merge_adapter(model, found.model), labels


def _labels_of_adapter(stated: dict[str, Any], brought: Shapes) -> tuple[dict[str, Any], int | None]:
    """What names the labels: the configuration, if it has as many as the adapter's head."""
    width = head_width(brought)
    names = stated.get("id2label")
    if width is not None and (names is None or len(names) != width):
        return {}, width
    return stated, width


def _build(
    source: str, folder: Path, described: Path, labels: list[str], trust_remote_code: bool, **options: Any
) -> tuple[Any, list[str]]:
    """The model in float32, and the names of the weights that its files lack.

    What MLflow logs as the base of an adapter was saved with PEFT's layers in it: their names are taken out.
    """
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: index for index, name in enumerate(labels)}}
    try:
        config = AutoConfig.from_pretrained(described, trust_remote_code=trust_remote_code, **names)
        # Compiled, ModernBERT cannot be traced.
        config.reference_compile = False
        if hasattr(config, "quantization_config"):
            # Of an adapter that was trained on a quantized base; the base that is here is not.
            del config.quantization_config
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
    return found.tokenizer if has_tokenizer(found.tokenizer) or not found.is_adapter else base.tokenizer


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


def _served_length(source: str, tokenizer: Any, own: int | None, wanted: int | None) -> int:
    if wanted is None:
        return usual_max_length(own)
    if own is not None and wanted > own:
        raise ExportError(f"{source} takes sequences of at most {own} tokens: give a --max-length up to that")
    if wanted <= (special := tokenizer.num_special_tokens_to_add(pair=True)):
        raise ExportError(f"--max-length {wanted} leaves no room for a text: {special} tokens go into the frame alone")
    return wanted
