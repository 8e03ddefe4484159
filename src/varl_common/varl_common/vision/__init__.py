"""What is seen in pictures: frozen towers of transformers, and what is read from them. torch, and no ROS."""
