"""What do the longer commands of `python -m benchmarks` do, one after the other?"""
