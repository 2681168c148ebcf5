"""What do `python -m training train`, `inspect`, `evaluate` and `track` take and print?"""
