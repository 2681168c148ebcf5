"""Which real sentences is an export checked on, and which set the scales of int8?"""
