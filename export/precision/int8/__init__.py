"""How do the products of a graph become int8, so that no sentence changes another's score?"""
