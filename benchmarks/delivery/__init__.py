"""Delivery when MongoDBs come and go: what a second destination costs, and what an outage does to the senders."""
