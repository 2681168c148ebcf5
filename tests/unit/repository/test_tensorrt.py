"""TensorRT's shapes come from real lengths, in the words of Triton's ONNX Runtime backend."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from repository.config import ModelConfig, parse_config, with_tensorrt
from repository.tensorrt import Profile, percentiles, profile_of


def test_half_of_the_tokens_are_in_sentences_as_long_as_the_optimum_or_shorter() -> None:
    # Ten sentences of 8 tokens are less work than two of 64: what is built for is the longer.
    profile = profile_of([8] * 10 + [64] * 2, max_batch_size=64, max_length=128, batch_tokens=1024)
    assert profile == Profile((1, 1), (16, 64), (64, 128))
    assert profile_of([8] * 100 + [64] * 2, 64, 128, 1024).optimum == (64, 8)


def test_whatever_the_model_takes_is_inside_the_profile() -> None:
    profile = profile_of([5, 9, 12], max_batch_size=32, max_length=509, batch_tokens=16)
    assert profile.largest == (32, 512)  # the gateway pads 509 tokens to 512
    assert profile.optimum == (1, 16)
    assert profile_of([600], 32, 512, 64).optimum == (1, 512)


def test_percentiles_are_lengths_that_so_many_do_not_exceed() -> None:
    assert percentiles(list(range(1, 101))) == {50: 50, 90: 90, 99: 99}
    assert percentiles([7]) == {50: 7, 90: 7, 99: 7}


def test_the_shapes_are_parameters_of_the_accelerator() -> None:
    profile = profile_of([8] * 10, max_batch_size=4, max_length=64, batch_tokens=64)
    text = with_tensorrt(ModelConfig("classifier", threads=2, pinned=3).to_pbtxt(), profile.parameters)
    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    (accelerator,) = message.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert dict(accelerator.parameters) == {
        "precision_mode": "FP16",
        "trt_profile_min_shapes": "input_ids:1x1,attention_mask:1x1",
        "trt_profile_opt_shapes": "input_ids:4x8,attention_mask:4x8",
        "trt_profile_max_shapes": "input_ids:4x64,attention_mask:4x64",
    }
    config = parse_config(text)
    assert (config.tensorrt, config.threads, config.pinned) == (True, 2, 3)


def test_a_second_profile_takes_the_place_of_the_first_and_the_rest_stays() -> None:
    first = with_tensorrt(
        ModelConfig("classifier").to_pbtxt(), {"trt_profile_min_shapes": "old", "precision_mode": "FP32"}
    )
    second = with_tensorrt(first, {"trt_profile_min_shapes": "new"})
    message = text_format.Parse(second, model_config_pb2.ModelConfig())
    (accelerator,) = message.optimization.execution_accelerators.gpu_execution_accelerator
    assert dict(accelerator.parameters) == {"precision_mode": "FP32", "trt_profile_min_shapes": "new"}
