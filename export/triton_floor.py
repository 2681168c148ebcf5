"""What the pinned Triton can read: the floor that every exported graph keeps to, whatever wrote it."""

# Floor of the pinned Triton image (24.10): ONNX Runtime 1.19 reads opset 21 and IR version 10. 17 is the first
# opset with LayerNormalization as one operator.
OPSET = 17
NEWEST_OPSET = 21
NEWEST_IR_VERSION = 10
