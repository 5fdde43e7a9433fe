"""An example extension: stock of products, counted and sold, with an alert where it stays low."""
