"""Local worker processes: devices, threads, respawn."""
