"""Finds people in pictures and videos."""
