"""The only room that speaks to PostgreSQL: waves, events, alerts, classifications, the embedded server."""
