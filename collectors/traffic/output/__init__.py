"""What the sensor writes: EVE records."""
