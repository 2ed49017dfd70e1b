"""What file systems can do, and what to do where they cannot: names, locks, the disk."""
