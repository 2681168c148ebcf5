"""The README's table of settings is the one that the settings classes give."""

from launcher.settings_table import README, with_table


def test_the_table_of_settings_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_table(text) == text, "run `make readme`"
