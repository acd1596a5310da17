"""Before anything starts: parameters that cannot work are refused in seconds."""
