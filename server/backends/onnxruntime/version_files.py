"""Is the graph that was loaded the one that the version's manifest describes? A file can be damaged and mended."""

import hashlib
import json

_MANIFEST = "manifest.json"


def stamps(graph):
    """What changes when somebody writes to the graph's files: to be taken before they are read."""
    return {file.name: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for file in _files(graph) if (stat := file.stat())}


def find_fault(graph, before):
    """What is wrong with the files that were loaded since `before` was taken; None if nothing, or without a manifest.

    A manifest that is damaged itself says nothing of the graph; the gateway uses no version without a whole one.
    Golden sentences are a few: damaged weights of words that are in none of them show in a caller's answer alone.
    """
    try:
        files = json.loads(graph.with_name(_MANIFEST).read_bytes())["files"]
        described = {name: file["sha256"] for name, file in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    try:
        for file in _files(graph):
            if file.name in described and _digest(file) != described[file.name]:
                return f"{file.name} is not the file that {_MANIFEST} describes"
        return None if stamps(graph) == before else "its files were changed while they were read"
    except OSError as error:  # one is gone again
        return f"its files cannot be compared with {_MANIFEST}: {error}"


def _files(graph):
    """The graph, and its weights where they lie beside it."""
    return sorted(graph.parent.glob(f"{graph.name}*"))


def _digest(file):
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
