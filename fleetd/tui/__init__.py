"""The live view of `fleetd status`: a model, a pure update, screens as functions of the model, and one terminal."""
