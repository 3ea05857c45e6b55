"""Replay certificate incidents before real TLS clients, and read what they did as a matrix."""
