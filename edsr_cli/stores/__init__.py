"""Objects in stores: S3 and what is like it, Google's, Azure's, the web; through fsspec.

`store` is the only module that imports fsspec, and does so when an address is first used.
"""
