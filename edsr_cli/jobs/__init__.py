"""Files in, files out: which output each input gets, and the work on one file."""
