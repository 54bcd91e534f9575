"""What holds for every test: properties are tried without a deadline, because a busy machine pauses."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
