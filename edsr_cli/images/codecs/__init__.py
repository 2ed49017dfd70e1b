"""One module for each family of formats: all that is to be known of it, reading and writing."""
