"""HTTP/2: frames, header compression, and streams as transactions."""
