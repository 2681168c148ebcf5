"""Brings the whole service up on one machine: a published model, Triton and the gateway in front of it."""
