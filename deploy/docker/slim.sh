#!/bin/sh
# Takes out of the gateway's virtual environment what it never loads: `slim.sh /opt/venv`. Some 110 MB of 230.
set -eu
environment=$1

# tokenizers needs the hub's client only to download a tokenizer; the gateway reads a file.
python3 -m pip --python "$environment/bin/python3" uninstall -y -q \
    charset-normalizer filelock fsspec hf-xet huggingface-hub pyyaml requests tqdm

cd "$environment"/lib/python3*/site-packages
rm -rf numpy/distutils numpy/f2py
find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.a' -o -name '*.c' -o -name '*.h' -o -name '*.pxd' -o -name '*.pyi' -o -name '*.pyx' \) -delete
# Symbols for debuggers. Not NumPy's: patchelf wrote these files, and strip would break them.
find . -type f -name '*.so' -not -path './numpy*' -exec strip --strip-unneeded {} +
python3 -m compileall -q .
