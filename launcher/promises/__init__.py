"""What does the service promise, how does Prometheus watch it, and was it kept where it was measured?"""
