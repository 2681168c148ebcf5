"""The HTTP front of a classifier in Triton: checks, tokenizes, asks the version named, answers labels and scores."""
