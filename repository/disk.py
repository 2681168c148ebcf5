"""Is what was written on the disk, and not only in the system's memory?"""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Flush a file or folder to the disk, so that a power cut after a rename finds the content behind the name.

    Of a folder, it is the names in it: without it a new file may be on the disk and its name not.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
