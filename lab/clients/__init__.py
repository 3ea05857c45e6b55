"""TLS clients: how they are built, started, spoken to and checked."""
