"""Which base model is fine-tuned: found, converted, its vocabulary trimmed?"""
