"""A server that finds people in the pictures it is sent."""
