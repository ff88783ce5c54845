"""Simulated people as a source of data: programmes of movement, performed again and again, on any body."""
