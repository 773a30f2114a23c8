"""The world outside: files of other programs. Nothing else in lmcore imports this package."""
