"""What does a version say of what its scores mean, and how are such scores, thresholds and label sets computed?"""
