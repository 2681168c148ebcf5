"""By what may the columns of a CSV or TSV table be parted, and how does a table say so itself?"""

DELIMITERS = (",", ";", "\t", "|")
"""What the columns of a header are tried to be parted by."""
SEP_LINE = r'"?sep=(.)"?[,;\t|]*\s*'
"""Regular expression, for letters of either case, of the line that Excel puts first to say its delimiter; saved once
more, it has the other columns' delimiters behind it."""
QUOTING_ADVICE = "a field with a comma, a quotation mark or a line break in it must stand in quotation marks"
"""The end of a sentence that says why a row has too few or too many columns."""
