"""How are results kept, drawn, and held against earlier ones?"""
