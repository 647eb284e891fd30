"""For every test: what is drawn at random is never judged by how long it took, since packages run side by side on busy machines."""

from hypothesis import HealthCheck, settings

settings.register_profile("holdfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("holdfast")
