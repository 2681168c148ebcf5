"""What may a request ask of scores beyond what the model gives: calibrated, sure enough, or a set with a promise?"""
