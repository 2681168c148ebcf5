"""Which settings to begin with on which NVIDIA card? One table of what cards are, and the arithmetic from it.

None of it was measured. What a card is stands in its maker's data sheet; what to begin with follows by the arithmetic
below, and is a place to begin measuring: `python -m benchmarks gpu` tries values around it.

**Tokens of a call.** A product of `[tokens, in] × [in, out]` in float16 is cut into tiles of 128 × 128 values, of which
each multiprocessor computes one at a time. A card is busy when every multiprocessor has several to compute in turn
(`WAVES`), so that the last, partly empty turn is a small share. The narrowest product of an encoder of MiniLM's size
gives `NARROWEST` values a token, so that

    tokens = WAVES × multiprocessors × TILE² / NARROWEST

A wider model is busy with fewer. Reading all weights once must not take longer than computing with them either: two
bytes a weight at `bandwidth` against two operations a weight and token at `operations` asks for operations / bandwidth
tokens, a few hundred on every card, so that it never decides. The power of two that is nearest is taken.

**Memory.** For each token of a call the largest layer holds some `12 × channels` values and, for its scores, `2 × heads
× length`. At 768 channels, 12 heads and 512 tokens that is 43 kB in float16. The calls of all instances may take a
quarter of the card; the rest is for weights, two versions of them during a swap, and what CUDA takes.

**Instances.** While one copies its inputs and answers, another computes. More than two only share the same
multiprocessors; with less than `LEAST_FOR_TWO_GB`, weights count more.

**Sentences of a call.** Sentences of ideas and titles have some 16 to 32 tokens: with fewer sentences than
tokens / `SHORT_SENTENCE`, the bound on tokens is never reached.
"""

import math
import shutil
import subprocess
from dataclasses import dataclass

WAVES = 4
TILE = 128
NARROWEST = 384
BYTES_A_TOKEN = 2 * (12 * 768 + 2 * 12 * 512)
SHARE_OF_MEMORY = 0.25
LEAST_FOR_TWO_GB = 8
SHORT_SENTENCE = 32
MOST_SENTENCES = 512

# Of a card that the table does not have; what Compose and the Kubernetes overlay say, too.
UNKNOWN_TOKENS = 16384


@dataclass(frozen=True)
class Card:
    """What a card is, from its data sheet; without a name, one that is not in the table."""

    name: str
    """As `nvidia-smi` names it, without NVIDIA, Tesla or GeForce, and without its form."""
    memory_gb: float
    multiprocessors: int
    tensor_tflops: float
    """Of dense float16 products, in 10¹² operations a second."""
    bandwidth_gb_s: float

    @property
    def batch_tokens(self) -> int:
        """`BATCH_TOKENS` to begin with."""
        if not self.multiprocessors:
            return UNKNOWN_TOKENS
        to_fill = WAVES * self.multiprocessors * TILE**2 / NARROWEST
        to_read_weights = 1000 * self.tensor_tflops / self.bandwidth_gb_s
        wanted = max(to_fill, to_read_weights)
        fits = SHARE_OF_MEMORY * self.memory_gb * 1e9 / (BYTES_A_TOKEN * self.instances)
        return int(2 ** min(round(math.log2(wanted)), math.floor(math.log2(fits))))

    @property
    def batch_sentences(self) -> int:
        """`BATCH_SENTENCES`, and `max_batch_size` of `config.pbtxt`, to begin with."""
        return min(MOST_SENTENCES, self.batch_tokens // SHORT_SENTENCE)

    @property
    def instances(self) -> int:
        """`instance_group` of `config.pbtxt` to begin with."""
        return 2 if self.memory_gb >= LEAST_FOR_TWO_GB else 1

    @property
    def environment(self) -> dict[str, str]:
        """The gateway's settings."""
        return {"BATCH_TOKENS": str(self.batch_tokens), "BATCH_SENTENCES": str(self.batch_sentences)}

    @property
    def config(self) -> dict[str, int]:
        """What `config.pbtxt` is to say, by the names of `repository.config.with_changes`."""
        return {"max_batch_size": self.batch_sentences, "instance_count": self.instances}


CARDS = (
    Card("T4", 16, 40, 65, 320),
    Card("V100", 16, 80, 125, 900),
    Card("A10", 24, 72, 125, 600),
    Card("A30", 24, 56, 165, 933),
    Card("A40", 48, 84, 150, 696),
    Card("A100", 40, 108, 312, 1555),
    Card("L4", 24, 58, 121, 300),
    Card("L40S", 48, 142, 362, 864),
    Card("H100", 80, 132, 989, 3350),
    Card("H200", 141, 132, 989, 4800),
    Card("RTX A6000", 48, 84, 155, 768),
    Card("RTX 3090", 24, 82, 71, 936),
    Card("RTX 4090", 24, 128, 165, 1008),
)
# What stands before a name, and says nothing of what the card is.
_MAKERS = ("nvidia", "tesla", "geforce", "quadro")


def known_card(name: str, memory_gb: float) -> Card:
    """The card of a name as `nvidia-smi` tells it, with the memory that it was found with.

    A form or size after the name (`NVIDIA A100-SXM4-80GB`) makes no other card; another letter does (`A100` and
    `A10`, `L40S` and `L40`). One that the table does not have comes back without multiprocessors.
    """
    words = name.lower().replace("-", " ").split()
    while words and words[0] in _MAKERS:
        words = words[1:]
    for card in CARDS:
        wanted = card.name.lower().split()
        if words[: len(wanted)] == wanted:
            return Card(card.name, memory_gb, card.multiprocessors, card.tensor_tflops, card.bandwidth_gb_s)
    return Card(name, memory_gb, 0, 0, 0)


def found_card() -> Card | None:
    """The first NVIDIA card of this machine; None where `nvidia-smi` tells of none."""
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    name, _, memory = (told.stdout.splitlines() or [""])[0].rpartition(",")
    if told.returncode or not memory.strip().isdecimal():
        return None
    # nvidia-smi counts in MiB.
    return known_card(name.strip(), int(memory) * 2**20 / 1e9)
