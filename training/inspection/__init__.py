"""What is in data before any training: copies, leaks, wrong labels, languages?"""
