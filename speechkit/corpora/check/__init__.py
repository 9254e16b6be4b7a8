"""Sets that anyone made: what is wrong in them, and what can be repaired."""
