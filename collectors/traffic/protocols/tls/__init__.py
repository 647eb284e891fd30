"""TLS up to where it is encrypted: hellos, certificates, fingerprints."""
