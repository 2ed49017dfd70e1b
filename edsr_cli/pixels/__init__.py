"""Pictures in memory and windows on them: no files, no Pillow, no torch."""
