"""Our own protobuf services and the stubs generated from them."""
