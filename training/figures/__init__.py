"""How good are answers, how sure is that, and what does a simple model reach?"""
