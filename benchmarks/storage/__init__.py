"""What the stored documents cost MongoDB itself: CPU time, disk and queries, by kind of index, document and collection.

`python -m benchmarks.storage` measures what docs/storage.md reports. `variants` is the table of what is compared.
"""
