"""Models that other apps keep on this machine: found and listed, never touched."""
