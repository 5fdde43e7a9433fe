"""What the next basket of a customer will hold."""

from api.resource import Documentation, Resource
from api.resources.next_basket import routes
from api.resources.next_basket.document import SCHEMAS
from api.resources.next_basket.predictor import BasketPredictor, next_basket_folder

RESOURCE = Resource(
    name="next_basket",
    routers=[routes.router],
    services=[lambda services: BasketPredictor(next_basket_folder(services.settings.next_basket_dir))],
    documentation=Documentation(schemas=SCHEMAS),
)
