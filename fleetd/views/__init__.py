"""Pure functions from the state to what people and programs see of it."""
