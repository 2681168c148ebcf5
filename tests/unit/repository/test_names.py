"""A label that cannot be used is refused with the reason; any text is shown on one line, where nothing acts on it."""

import pytest

from repository.names import is_file_name, is_model_name, is_version_name, refused_label, visible


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("Ops\nteam", "holds a line break"),
        ("Ops\r", "holds a line break"),
        ("Ops\u2028team", "holds a line break"),
        ("Ops\x85team", "holds a line break"),
        ("Ops\tteam", "holds a control character, U+0009"),
        ("Ops\x00", "holds a control character, U+0000"),
        ("\x1b[31mOps", "holds a control character, U+001B"),
        ("Ops\udcff", "holds a control character, U+DCFF"),
        ("Ops\u202espO", "holds U+202E, which changes the direction of the text around it"),
        ("\u2066Ops", "holds U+2066, which changes the direction of the text around it"),
        ("", "has no visible character"),
        (" \u00a0\u3000", "has no visible character"),
        ("\u200b\ufeff", "has no visible character"),
        ("\u3164", "has no visible character"),
        ("\u2800", "has no visible character"),
        ("\u0301\ufe0f", "has no visible character"),
    ],
)
def test_a_label_that_nobody_could_read_or_write_is_refused_with_the_reason(label: str, reason: str) -> None:
    assert refused_label(label) == reason


@pytest.mark.parametrize(
    "label",
    [
        "Ops [/api]",
        "[/]",
        "LABEL_0",
        "a/b\\c|d`e$f%g",
        "Música",
        "日本語",
        "العربية",
        "می\u200cخواهم",
        "👩\u200d🔬",
        "❤\ufe0f",
        "-",
        "x" * 300,
    ],
)
def test_a_label_in_any_script_with_any_sign_is_taken(label: str) -> None:
    assert refused_label(label) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ops [/api] 日本語 é", "Ops [/api] 日本語 é"),
        ("a\nb\r\tc\u2028d", r"a\nb\r\tc\u2028d"),
        ("\x1b[31m\x07\x9b", r"\x1b[31m\x07\x9b"),
        ("\u202eabc\u2066\u200b\u00ad", r"\u202eabc\u2066\u200b\xad"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_a_text_is_shown_on_one_line_with_what_would_act_on_it_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown


@pytest.mark.parametrize("name", ["classifier", "a.b-c_d", "_x", "7", "x" * 255])
def test_a_model_may_have_a_plain_name(name: str) -> None:
    assert is_model_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".x", "-x", "a/b", "a\\b", "a b", "a\n", "é", "x" * 256])
def test_a_name_that_is_a_path_an_option_or_hidden_is_no_models(name: str) -> None:
    assert not is_model_name(name)


def test_a_version_is_a_number_that_triton_reads() -> None:
    assert all(map(is_version_name, ("1", "10", "9" * 18)))
    assert not any(map(is_version_name, ("", "0", "01", "-1", "+1", "1.0", "1e3", " 1", "1\n", "٣", "9" * 19)))


@pytest.mark.parametrize("name", ["model.onnx", "model.onnx.data", "Constant_7 attr__value", "größe"])
def test_a_versions_file_may_have_any_plain_name(name: str) -> None:
    assert is_file_name(name)
