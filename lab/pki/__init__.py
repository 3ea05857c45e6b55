"""Certificates: keys, minting, and the reference relying party. Knows no socket and reads no clock."""
