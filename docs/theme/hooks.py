"""What MkDocs does not do as we want it: marks of the tests are not shown, and diagrams scroll by themselves."""

import re

NOT_RUN = re.compile(r"^(?P<fence>\s*`{3,}console) no-run\s*$", re.MULTILINE)
DIAGRAM = re.compile(r'<pre class="mermaid">.*?</pre>', re.DOTALL)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Take the tests' mark off a block of commands: an unknown word there would make it no block at all."""
    return NOT_RUN.sub(r"\g<fence>", markdown)


def on_page_content(html: str, **_: object) -> str:
    """Put each diagram into a box, which scrolls on a narrow screen."""
    return DIAGRAM.sub(r'<div class="diagram">\g<0></div>', html)
