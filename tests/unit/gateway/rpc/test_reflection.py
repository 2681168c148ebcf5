"""Questions to reflection: what there is, and what there is not."""

from google.protobuf import descriptor_pb2

from gateway.rpc.messages import message
from gateway.rpc.reflection import answer

Request = message("grpc.reflection.v1.ServerReflectionRequest")


def test_a_message_a_method_and_a_file_lead_to_the_same_description() -> None:
    for asked in (
        {"file_containing_symbol": "text_classifier.v1.ClassifyRequest"},
        {"file_containing_symbol": "text_classifier.v1.Classifier.Classify"},
        {"file_by_filename": "text_classifier/v1/classifier.proto"},
    ):
        found = answer(Request(host="here", **asked))
        (encoded,) = found.file_descriptor_response.file_descriptor_proto
        described = descriptor_pb2.FileDescriptorProto.FromString(encoded)
        assert [service.name for service in described.service] == ["Classifier"]
        assert (found.valid_host, found.original_request.host) == ("here", "here")


def test_what_there_is_not_is_an_error_within_the_answer() -> None:
    for asked in (
        {"file_containing_symbol": "no.such.Thing"},
        {"file_containing_symbol": ""},
        {"file_by_filename": "no.proto"},
        {"file_containing_extension": {"containing_type": "inference.InferParameter", "extension_number": 1}},
        {"all_extension_numbers_of_type": "inference.InferParameter"},
        {},
    ):
        error = answer(Request(**asked)).error_response
        assert error.error_code in (5, 12)
        assert error.error_message
