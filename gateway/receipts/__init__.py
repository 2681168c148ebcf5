"""How can somebody check later which version gave an answer, to which text? By a receipt that the gateway signed.

It costs a gateway without a key nothing: `cryptography` is imported when a key is read, ONNX Runtime when an answer is
computed anew.
"""
