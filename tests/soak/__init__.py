"""The soak: a real instance whose daemon is killed, whose keeper is killed, and which is upgraded, over and over."""
