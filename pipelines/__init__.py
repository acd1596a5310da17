"""How the steps chain and where they run."""
