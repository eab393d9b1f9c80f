"""A fleet of many simulated members on one Redis: what it costs, and how soon all of them know of a request."""
