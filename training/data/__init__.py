"""What are the examples: which file, which columns, which label, which split?"""
