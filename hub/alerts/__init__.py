"""From findings to alerts: what is too much, whether it is present, what happens to the alert; pure."""
