"""Does memory creep, or an answer go wrong, while versions are swapped under load?"""
