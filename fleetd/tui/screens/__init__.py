"""What is drawn: pure functions of the model, a look and a size, that return lines."""
