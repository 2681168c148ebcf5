"""What do `python -m export export`, `inspect` and `diff` take and print?"""
