"""How is the gateway asked by gRPC? By its own service, the Open Inference Protocol, health checks and reflection."""
