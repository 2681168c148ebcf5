"""Which files make a version, in which precision, and when is an export refused?"""
