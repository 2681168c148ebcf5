"""Does the graph answer as PyTorch does, whatever the length, the batch and the padding?"""
