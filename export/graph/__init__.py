"""How does the checkpoint become one optimized float32 ONNX graph of token ids and mask?"""
