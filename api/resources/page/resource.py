"""The live page, and the snippet for the pages of shops."""

from api.resource import Resource
from api.resources.page import routes

RESOURCE = Resource(name="page", seldom_routers=[routes.router], files={"/static": routes.FOLDER})
