"""Are the sentences that come like those that the version was trained on, and what is answered?"""
