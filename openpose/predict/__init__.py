"""People in pictures and videos."""
