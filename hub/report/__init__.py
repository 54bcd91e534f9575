"""The reading of one recording for people: as text, as JSON and as a picture of the strip."""
