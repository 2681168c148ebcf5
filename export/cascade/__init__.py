"""May a student answer in place of the model, and from which confidence on?"""
