"""How does the float32 graph become float16 or int8?"""
