"""One module for each device protocol, pure bytes to ticks; `site_agent.device` says what they give."""
