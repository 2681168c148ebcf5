"""How does a version prove itself before it answers: its trial, what was counted of it, the rule that judges it?"""
