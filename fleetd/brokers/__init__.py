"""Reading queues where their jobs stand: one port, and a file for each kind of broker.  Nothing is ever written."""
