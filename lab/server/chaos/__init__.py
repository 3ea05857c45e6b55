"""Misbehaviour on the wire: filters over records, the relay that sends what they make, the exhibits they need."""
