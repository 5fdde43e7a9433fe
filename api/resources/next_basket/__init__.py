"""What the next basket of a customer will hold."""
