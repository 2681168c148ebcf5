"""Scores a file of texts through Triton, with the gateway's tokenizer, batches and wire, and without its HTTP front.

It is here and not beside `training` because what it has to share with `/classify`, so that both answer alike, is the
gateway's; and where the gateway is installed it runs, without torch.
"""
