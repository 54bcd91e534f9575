"""The agent of a delivery site: devices in, a durable outbox, two lanes to the centre, a page of its own."""
