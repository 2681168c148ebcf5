"""How much memory an export takes: a checkpoint of XLM-RoBERTa base's size, exported in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repository.manifest import Precision

WORDS = ("budget", "doctor", "family", "invoice", "learn", "lesson", "market", "plan", "recipe", "school", "trip")
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")


@dataclass(frozen=True)
class Peak:
    """Largest resident memory of one export, mapped files included; `status` is 0 unless it failed."""

    precision: Precision
    peak_bytes: int
    checkpoint_bytes: int
    status: int

    @property
    def ratio(self) -> float:
        """Peak over the size of the checkpoint's weights."""
        return self.peak_bytes / self.checkpoint_bytes


def measure_exports(checkpoint: Path, folder: Path, precisions: Sequence[Precision]) -> Iterator[Peak]:
    """Export a checkpoint in each of the precisions, one after the other, into `folder`."""
    sentences = folder / "sentences.txt"
    sentences.write_text("\n".join(" ".join(WORDS[i % 7 : i % 7 + 1 + i % 5]) for i in range(60)))
    size = sum(path.stat().st_size for path in checkpoint.glob("*.safetensors"))
    for precision in precisions:
        command = [sys.executable, "-m", "export", str(checkpoint), "--output", str(folder / precision.value)]
        command += ["--data", str(sentences), "--precision", precision.value]
        with (folder / f"{precision.value}.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        # Linux counts ru_maxrss in KiB.
        yield Peak(precision, usage.ru_maxrss * 1024, size, process.returncode)


def write_large_checkpoint(folder: Path) -> Path:
    """XLM-RoBERTa base with random weights (278 M parameters, 1.1 GB in float32) and a tokenizer of a few words."""
    return _write_checkpoint(folder, vocab_size=250002)


def write_small_checkpoint(folder: Path) -> Path:
    """Two layers of 32 channels with random weights, and the same tokenizer: for a rehearsal."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    return _write_checkpoint(folder, vocab_size=100, **sizes)


def _write_checkpoint(folder: Path, **sizes: int) -> Path:
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaForSequenceClassification

    torch.manual_seed(0)
    config = XLMRobertaConfig(max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, num_labels=3, **sizes)
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=512, **names).save_pretrained(folder)
    return folder
