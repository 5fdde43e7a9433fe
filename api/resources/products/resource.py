"""Products: the shop's catalogue, and their demand."""

from api.openapi.identifiers import TEXT_ID
from api.openapi.links import Link
from api.resource import Documentation, Resource
from api.resources.products import catalogue_routes, routes
from api.resources.products.document import SCHEMAS
from api.resources.products.examples import ANSWERS

RESOURCE = Resource(
    name="products",
    routers=[routes.router, catalogue_routes.router],  # in this order: an id may hold slashes
    list_paths=frozenset(("/v1/products",)),
    documentation=Documentation(
        tags={"products": "The shop's catalogue, and the demand for each product."},
        answers=ANSWERS,
        schemas=SCHEMAS,
        parameters={"product_id": "p00054", "grain": "hour", "category": "Shirts"},
        path_schemas={"product_id": TEXT_ID},
        links=[
            Link(
                "get_products", "200", "get_product", {"product_id": "$response.body#/products/0/product_id"}
            )
        ],
    ),
)
