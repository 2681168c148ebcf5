"""What can be said of a trained model, as figures, a page and a model card?"""
