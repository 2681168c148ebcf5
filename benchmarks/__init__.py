"""Measures the service beside what it could be at best, in one run, as ratios anyone can have again."""
