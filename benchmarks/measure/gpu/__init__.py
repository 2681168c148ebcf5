"""What does a card bring: number formats, providers, tokens of a call, padded or packed?"""
