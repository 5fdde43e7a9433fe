"""What the synthetic shops sell: invented brands and plain product names."""

from typing import NamedTuple


class Department(NamedTuple):
    """A category with its share of the assortment, its price level (1: the shop's median) and its words."""

    code: str
    weight: float
    price_level: float
    brands: tuple[str, ...]
    styles: tuple[str, ...]
    nouns: tuple[str, ...]


def _department(
    code: str, weight: float, price_level: float, brands: str, styles: str, nouns: str
) -> Department:
    names = (tuple(part.strip() for part in text.split(",")) for text in (brands, styles, nouns))
    return Department(code, weight, price_level, *names)


GENERAL = (
    _department(
        "electronics.smartphone",
        0.20,
        2.2,
        "Orbis, Kestrel, Novaline, Pixelia, Tamon",
        "5G, Lite, Pro, Max, Mini",
        "Smartphone, Phone, Dual-SIM Phone",
    ),
    _department(
        "electronics.audio.headphone",
        0.12,
        0.6,
        "Aurel, Novaline, Basso, Kestrel",
        "Wireless, Studio, Sport, Noise-Free",
        "Headphones, Earbuds, Headset",
    ),
    _department(
        "computers.notebook",
        0.09,
        3.0,
        "Cobalt, Tamon, Orbis, Lyra",
        "Slim, Office, Gaming, Travel",
        "Notebook, Laptop, Convertible",
    ),
    _department(
        "appliances.kitchen.kettle",
        0.11,
        0.4,
        "Fyra, Brunnen, Casa Uno, Hestia",
        "Steel, Glass, Retro, Quiet",
        "Kettle, Toaster, Coffee Maker, Blender",
    ),
    _department(
        "appliances.environment.vacuum",
        0.07,
        1.3,
        "Hestia, Zephyr, Brunnen",
        "Cordless, Robot, Compact",
        "Vacuum Cleaner, Air Purifier",
    ),
    _department(
        "furniture.living_room.lamp",
        0.08,
        0.5,
        "Lumo, Nordhus, Casa Uno",
        "Arc, Linen, Oak, Brass",
        "Floor Lamp, Desk Lamp, Pendant",
    ),
    _department(
        "apparel.shoes",
        0.12,
        0.6,
        "Stride, Corva, Piedra, Alto",
        "Trail, City, Leather, Canvas",
        "Sneakers, Boots, Running Shoes",
    ),
    _department(
        "sport.bicycle",
        0.04,
        2.6,
        "Veloce, Alto, Monte",
        "Gravel, City, Mountain, Folding",
        "Bicycle, E-Bike",
    ),
    _department(
        "kids.toys",
        0.10,
        0.3,
        "Pippa, Klotz, Wunder",
        "Wooden, Magnetic, Giant, Classic",
        "Building Set, Puzzle, Train, Doll House",
    ),
    _department(
        "home.garden",
        0.07,
        0.5,
        "Grünwald, Terra, Monte",
        "Balcony, Solar, Ceramic, Foldable",
        "Planter, Lantern, Chair, Grill",
    ),
)

COSMETICS = (
    _department(
        "skin.serum",
        0.14,
        2.0,
        "Lumea, Dermis, Sève, Onda",
        "Hyaluron, Vitamin C, Night, Peptide",
        "Serum, Ampoule, Essence",
    ),
    _department(
        "skin.cream", 0.12, 1.6, "Dermis, Sève, Nivalis", "Day, Rich, Soothing, Matte", "Cream, Balm, Lotion"
    ),
    _department("skin.mask", 0.08, 0.5, "Onda, Lumea, Petal", "Clay, Sheet, Honey", "Mask, Peeling"),
    _department(
        "nails.polish",
        0.20,
        0.7,
        "Glint, Vernis, Coralie, Petal",
        "Ruby, Nude, Night Blue, Pearl",
        "Nail Polish, Gel Polish",
    ),
    _department(
        "nails.care",
        0.10,
        0.6,
        "Vernis, Coralie",
        "Glass, Almond, Strong",
        "Nail File, Cuticle Oil, Base Coat",
    ),
    _department(
        "hair.shampoo", 0.08, 1.3, "Capella, Onda, Nivalis", "Repair, Volume, Silver", "Shampoo, Conditioner"
    ),
    _department("hair.color", 0.07, 1.5, "Capella, Vernis", "Copper, Ash, Chestnut", "Hair Colour, Toner"),
    _department(
        "makeup.lipstick", 0.09, 1.2, "Coralie, Glint, Petal", "Matte, Velvet, Gloss", "Lipstick, Lip Balm"
    ),
    _department(
        "makeup.eyes", 0.07, 1.1, "Glint, Lumea", "Smoky, Waterproof, Brown", "Mascara, Eyeliner, Palette"
    ),
    _department("tools.brush", 0.05, 0.8, "Petal, Capella", "Fine, Flat, Round", "Brush, Sponge, Tweezers"),
)
