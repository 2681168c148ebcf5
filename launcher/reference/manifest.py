"""The page of the manifest: what a published version says about itself, from the models that read it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launcher.reference.markdown import GENERATED, code, plain, table
from launcher.reference.schema import default_of, described
from repository.golden import Golden
from repository.manifest import Manifest
from repository.training_profile import TrainingProfile

EXAMPLE = Path(__file__).with_name("manifest.json")
"""A real one: MiniLM fine-tuned on the sample data, exported in int8."""
INTRODUCTION = """# Manifest

A published version is a folder: the graph, its tokenizer, and `manifest.json`, which says what they are. The gateway,
Triton and every command read it; what is known of a model is kept nowhere else. A field that nobody knows, or a
required one that is missing, makes the manifest invalid. A version with a file of another sha256 than the manifest
lists is not used.
"""
FILES = {
    "`manifest.json`": "this page",
    "`model.onnx`": "inputs `input_ids` and `attention_mask`, INT64 `[batch, sequence]`; output `logits`, FP32 "
    "`[batch, labels]`",
    "`model.onnx.data`": "its weights, where the graph is past 2 GB",
    "`tokenizer.json`": "the fast tokenizer, whole",
    "`parity.json`": "all that was measured against PyTorch, and what was left out for a large model",
    "`golden.json`": "sentences with PyTorch's answers, asked again wherever the version is served",
    "`profile.json`": "what the training texts were like, and the answers to held-out ones: counts that the gateway "
    "holds live sentences against where `WATCH` is on",
    "`student.onnx`, `student_golden.json`, `student_parity.json`": "the graph of a student, and the same of it",
    "`report.html`, `README.md`, `training_report.json`": "how good the model is, as training wrote it",
    "`split.json`": "what training held out, as digests",
    "`weights.sha256`": "digests of the weights it was exported from, for `sha256sum --check` and `--from-version`",
}


def manifest_page() -> str:
    """The text of docs/reference/manifest.md."""
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    Manifest.parse(EXAMPLE.read_bytes(), "the example")
    sections = [_sections("manifest.json", Manifest.model_json_schema()), _golden()]
    sections.append(_sections("profile.json", TrainingProfile.model_json_schema()))
    shown = json.dumps(example, indent=2, ensure_ascii=False)
    files = table(("file of a version", "what"), FILES.items())
    return "\n".join([GENERATED, INTRODUCTION, files, *sections, f"## An example\n\n```json\n{shown}\n```\n"])


def _golden() -> str:
    return _sections("golden.json", Golden.model_json_schema())


def _sections(title: str, schema: Mapping[str, Any]) -> str:
    """One table for the file, and one for each kind of object or word within it."""
    parts = [_section(title, schema)]
    parts += [_section(name, each) for name, each in sorted(schema.get("$defs", {}).items())]
    return "\n".join(parts)


def _section(title: str, schema: Mapping[str, Any]) -> str:
    meaning = plain(schema.get("description", "").split("\n\n")[0])
    if "enum" in schema:
        body = "One of " + ", ".join(map(code, schema["enum"])) + ".\n"
    else:
        required = schema.get("required", [])
        body = table(
            ("field", "value", "default", "meaning"),
            (
                (code(name), described(each), default_of(name, each, required), plain(each.get("description", "")))
                for name, each in schema["properties"].items()
            ),
        )
    return f"## {title}\n\n{meaning}\n\n{body}"
