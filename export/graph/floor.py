"""What the oldest runtime that has to read a graph knows: the pinned Triton image, 24.10, carries ONNX Runtime 1.19.

`floor.json` lists, as that build reports it, the newest version of each operator domain and, of the operators outside
the ONNX standard, those that have a kernel for CPUs, with their attributes and the most inputs they take. It is
written by `python export/graph/floor.py` inside an environment that holds exactly that build.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

OPSET = 17
"""The opset of every export: the first one with LayerNormalization as one operator."""

FLOOR_FILE = Path(__file__).with_suffix(".json")
STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class Floor:
    """The runtime that every exported graph must load in.

    Attributes:
        onnxruntime: its version.
        ir_version: newest ONNX file format it reads.
        domains: newest version of each operator domain; the standard's is "".
        operators: by domain and name, the attributes and the most inputs of each operator outside the standard.
    """

    onnxruntime: str
    ir_version: int
    domains: dict[str, int]
    operators: dict[str, dict[str, tuple[frozenset[str], int]]]

    def violations(self, model: Any) -> list[str]:
        """What in an ONNX `ModelProto` this runtime does not know, each named once; empty if it reads all of it."""
        found = []
        if model.ir_version > self.ir_version:
            found.append(f"IR version {model.ir_version} (at most {self.ir_version})")
        for entry in model.opset_import:
            domain = "" if entry.domain in STANDARD else entry.domain
            if domain not in self.domains:
                found.append(f"operator domain {domain}")
            elif entry.version > self.domains[domain]:
                found.append(f"opset {entry.version} of {domain or 'ai.onnx'} (at most {self.domains[domain]})")
        for graph in (model.graph, *model.functions):
            for node in nodes_of(graph):
                found.extend(self._unknown(node))
        return list(dict.fromkeys(found))

    def _unknown(self, node: Any) -> Iterator[str]:
        if node.domain in STANDARD:
            return  # the opset says which there are
        known = self.operators.get(node.domain, {}).get(node.op_type)
        if known is None:
            yield f"operator {node.domain}.{node.op_type}"
            return
        attributes, inputs = known
        for attribute in node.attribute:
            if attribute.name not in attributes:
                yield f"attribute {attribute.name} of operator {node.domain}.{node.op_type}"
        if len(node.input) > inputs:
            yield f"input {len(node.input)} of operator {node.domain}.{node.op_type} (at most {inputs})"


def nodes_of(graph: Any) -> Iterator[Any]:
    """Every node of a graph, those of the graphs inside its nodes (branches, loops) too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def used_names(graph: Any) -> set[str]:
    """Names of the tensors that a graph, or a graph inside one of its nodes, reads or gives."""
    names = {tensor.name for tensor in graph.output}
    for node in nodes_of(graph):
        names.update(node.input)
        for attribute in node.attribute:
            names.update(tensor.name for inner in (attribute.g, *attribute.graphs) for tensor in inner.output)
    return names


def import_used_domains(model: Any) -> None:
    """Let the opset imports be those that nodes need: fusion forgets its own, and a runtime refuses unknown ones."""
    used = {node.domain for graph in (model.graph, *model.functions) for node in nodes_of(graph)}
    for entry in [entry for entry in model.opset_import if entry.domain not in (*STANDARD, *used)]:
        model.opset_import.remove(entry)
    for domain in sorted(used - {entry.domain for entry in model.opset_import} - set(STANDARD)):
        model.opset_import.add(domain=domain, version=1)


@cache
def floor() -> Floor:
    """The floor that `floor.json` describes."""
    content = json.loads(FLOOR_FILE.read_text(encoding="utf-8"))
    operators = {
        domain: {name: (frozenset(known["attributes"]), known["inputs"]) for name, known in listed.items()}
        for domain, listed in content["operators"].items()
    }
    return Floor(content["onnxruntime"], content["ir_version"], content["domains"], operators)


def describe_runtime() -> dict[str, Any]:
    """The content of `floor.json` for the ONNX Runtime that is installed."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema, get_all_opkernel_def

    schemas = get_all_operator_schema()
    kernels = {(k.domain, k.op_name) for k in get_all_opkernel_def() if k.provider == "CPUExecutionProvider"}
    domains: dict[str, int] = {}
    operators: dict[str, dict[str, Any]] = {}
    for schema in sorted(schemas, key=lambda each: (each.domain, each.name)):
        if schema.domain not in (*STANDARD, "com.microsoft"):
            continue  # trees and the like, or written by the runtime itself while it optimizes
        domains[schema.domain] = max(domains.get(schema.domain, 0), schema.since_version)
        if schema.domain in STANDARD or (schema.domain, schema.name) not in kernels:
            continue
        described = {"attributes": sorted(schema.attributes), "inputs": schema.max_input}
        operators.setdefault(schema.domain, {})[schema.name] = described
    return {
        "onnxruntime": onnxruntime.__version__,
        "ir_version": newest_ir_version(),
        "domains": domains,
        "operators": operators,
    }


def newest_ir_version() -> int:
    """The newest ONNX file format that the installed ONNX Runtime loads, found by loading an empty graph."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    newest = 0
    for version in range(3, 64):
        # ModelProto by hand (ir_version; graph "g"; opset 17 of the standard): the build's environment lacks onnx.
        content = bytes([0x08, version, 0x3A, 3, 0x12, 1]) + b"g" + bytes([0x42, 2, 0x10, 17])
        try:
            onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except Exception as error:
            if "IR version" in str(error):
                break
        newest = version
    return newest


if __name__ == "__main__":
    FLOOR_FILE.write_text(json.dumps(describe_runtime(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
