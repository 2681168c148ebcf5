"""How can somebody check later which version gave an answer, to which text? By a receipt that the gateway signed.

Nothing of this room is imported to any cost by a gateway that has no key: `cryptography` and ONNX Runtime are imported
where they are first used.
"""
