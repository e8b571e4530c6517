"""How the network was made. Not part of the app, and not installed with it."""
