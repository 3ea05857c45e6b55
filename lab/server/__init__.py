"""The TLS server: exhibits on lanes, and a witness of every connection."""
