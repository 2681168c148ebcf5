"""All that the gateway holds of a version: manifest, tokenizer, golden sentences; read when its files are in order."""

from dataclasses import dataclass
from typing import Any, Self

from gateway.files import FileStamps, VersionFiles, stamps_of
from gateway.tokenization import Tokenizers, shared
from repository.cascade import STUDENT_GOLDEN_FILE
from repository.golden import GOLDEN_FILE, Golden
from repository.inference import load_tokenizer
from repository.manifest import TOKENIZER_FILE, Manifest
from repository.training_profile import PROFILE_FILE, TrainingProfile


@dataclass(frozen=True)
class LoadedVersion:
    """All that is needed to ask a version and to read its answer."""

    number: int
    manifest: Manifest
    tokenizers: Tokenizers
    golden: Golden | None
    """The sentences that tell whether it answers as PyTorch did; None in versions exported without."""
    student_golden: Golden | None
    """The same of its student."""
    stamps: FileStamps
    """Name, size and time of change of each file when it was found to be the one that the manifest describes."""
    profile: TrainingProfile | None = None
    """What the texts it was trained on were like; None in versions exported without."""

    @property
    def tokenizer(self) -> Any:
        """The version's own tokenizer, which cuts long texts where the checkpoint's did."""
        return self.tokenizers.own

    @classmethod
    def read(cls, files: VersionFiles, number: int) -> Self:
        """Read a version, which takes as long as its tokenizer is large unless that is held: not for the event loop.

        Raises:
            RepositoryError: a file is missing, or is not the one that the manifest describes.
        """
        folder = files.model_folder / str(number)
        files.prepare(number)
        manifest = Manifest.read(folder)
        stamps = stamps_of(folder, manifest)  # before the check: a file changed during it is found at the next look
        manifest.verify_files(folder, files.read_here)
        golden = Golden.read(folder) if GOLDEN_FILE in manifest.files else None
        listed = STUDENT_GOLDEN_FILE in manifest.files
        student_golden = Golden.read(folder, STUDENT_GOLDEN_FILE) if listed else None
        limit = manifest.max_length
        tokenizers = shared(manifest.files[TOKENIZER_FILE].sha256, limit, lambda: load_tokenizer(folder, limit))
        profile = TrainingProfile.read(folder) if PROFILE_FILE in manifest.files else None
        return cls(number, manifest, tokenizers, golden, student_golden, stamps, profile)
