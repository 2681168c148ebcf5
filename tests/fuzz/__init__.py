"""Fuzzing: what the readers of this project do with bytes that nobody thought of.

Each module in `targets` has a function `check(data)`, which gives bytes to one reader and raises AssertionError where
that does not keep a promise. `python -m tests.fuzz` has atheris (libFuzzer) look for such bytes, guided by the lines
that they reach; the normal tests replay the corpus and try some that Hypothesis makes.
"""
