"""Do shadow, canary, promotion and feedback cost an answer, or make one wrong?"""
