"""How do several versions of a model stand to each other: speed, size, and what a user loses?"""
