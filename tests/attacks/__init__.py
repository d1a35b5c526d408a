"""Single senders that mean harm, each against a real sidecar with a well-behaved client beside it."""
