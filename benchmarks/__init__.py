"""What the sidecar costs, measured beside other receivers: `make bench` (docs/performance.md)."""
