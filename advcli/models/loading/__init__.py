"""Loading: every way in which a network is found and read, from what a user typed to a network and its card."""

from advcli.models.loading.network import load_network
from advcli.models.loading.request import ModelRequest
from advcli.models.loading.several import requests_for

__all__ = ["ModelRequest", "load_network", "requests_for"]
