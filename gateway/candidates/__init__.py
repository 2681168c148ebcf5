"""How does a candidate prove itself on live sentences: who asks it, when may it answer, and what is counted of it?"""
