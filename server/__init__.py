"""The embedded Triton: finds or installs it, starts it, supervises it, stops it."""
