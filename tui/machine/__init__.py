"""The Machine screen and the panels only it uses."""
