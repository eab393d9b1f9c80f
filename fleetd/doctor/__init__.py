"""`fleetd doctor`: what the host, the brokers and the frameworks say of pool files that are valid."""
