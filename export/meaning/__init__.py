"""What do a version's scores mean: on which sentences is that fitted, and how does it come into the version?"""
