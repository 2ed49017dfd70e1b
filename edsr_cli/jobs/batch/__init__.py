"""Reports of runs over folders."""
