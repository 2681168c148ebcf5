"""Which requests are followed on their way through the gateway, and where do their spans go?"""
