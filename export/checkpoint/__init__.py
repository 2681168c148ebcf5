"""What is this checkpoint: where its files are, its labels in order, its tokenizer, what its head reads?"""
