"""For all tests: properties have no deadline, for how long an example takes proves nothing."""

from hypothesis import settings

settings.register_profile("milo", deadline=None)
settings.load_profile("milo")
