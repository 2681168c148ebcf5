"""Which answers were right, as the people who got them say?"""
