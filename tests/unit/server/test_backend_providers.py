"""What `config.pbtxt` says of CUDA reaches ONNX Runtime in the embedded Triton, under the native backend's names."""

import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from repository.config import ModelConfig, student_config
from tests.places import ROOT


@pytest.fixture
def ort_session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The backend's module, which otherwise runs inside Triton's stub."""
    utils = ModuleType("triton_python_backend_utils")
    utils.TritonModelException = RuntimeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", utils)
    monkeypatch.delitem(sys.modules, "ort_session", raising=False)
    monkeypatch.syspath_prepend(str(ROOT / "server" / "backends" / "onnxruntime"))
    import ort_session

    yield ort_session
    del sys.modules["ort_session"]


def as_told(text: str) -> dict[str, Any]:
    """A `config.pbtxt` in the form in which Triton tells it to a backend."""
    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    told: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return told


def test_tf32_is_switched_off_by_what_the_guide_shows(ort_session: Any) -> None:
    guide = (ROOT / "docs" / "guides" / "export-and-precision.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^optimization \{(?:.|\n(?!```))*", guide, re.MULTILINE)
    cuda, *others = ort_session.gpu_providers(as_told(shown), "0")
    assert cuda == ("CUDAExecutionProvider", {"use_tf32": "0", "device_id": "0"})
    assert others == ["CPUExecutionProvider"]


def test_without_options_cuda_runs_as_onnx_runtime_has_it(ort_session: Any) -> None:
    assert ort_session.gpu_providers({}, "1")[0] == ("CUDAExecutionProvider", {"device_id": "1"})


def test_a_students_config_lets_no_run_take_several_cores(ort_session: Any) -> None:
    config = ModelConfig("classifier").to_pbtxt()
    found = [ort_session.wants_one_thread_a_run(as_told(text)) for text in (config, student_config(config))]
    assert found == [False, True]
