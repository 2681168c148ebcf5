"""How is a whole table classified in the background, without anybody who asks for one sentence noticing?"""
