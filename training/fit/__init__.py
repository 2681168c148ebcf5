"""How is a model fitted to the examples, and what does it answer?"""
