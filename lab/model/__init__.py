"""Frozen data: what a scenario, a client, the wire and a result are. No behaviour beyond their own consistency."""
