"""How does MLflow learn of a checkpoint?"""
